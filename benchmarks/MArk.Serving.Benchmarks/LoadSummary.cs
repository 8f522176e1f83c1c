using System.Globalization;
using MArk.Serving.Benchmarks.Load;

namespace MArk.Serving.Benchmarks;

/// <summary>The runs under one load, one a server and seed. A server's means are over those whose capacity settled; over all if none did.</summary>
internal sealed class LoadSummary(double load)
{
    private readonly SortedDictionary<string, List<(SettledRun<LoadResult> Made, double IdealShare)>> _runs = new(StringComparer.Ordinal);

    public int Runs => _runs.Values.Sum(runs => runs.Count);

    /// <summary>Runs whose capacity never settled.</summary>
    public int Voided => _runs.Values.Sum(Void);

    public IEnumerable<string> Servers => _runs.Keys;

    /// <param name="server">Who served.</param>
    /// <param name="run">The run.</param>
    /// <param name="idealShare">What an ideal server would have kept in the bare loop's place before and after it.</param>
    public void Add(string server, SettledRun<LoadResult> run, double idealShare)
    {
        if (!_runs.TryGetValue(server, out var runs))
        {
            _runs[server] = runs = [];
        }
        runs.Add((run, idealShare));
    }

    public int VoidedOf(string server) => Void(_runs[server]);

    public double Share(string server) => Mean(server, run => run.Value.Share);

    /// <summary>What an ideal server would have kept in the bare loop's place before and after the runs that the share is the mean of.</summary>
    public double IdealShare(string server) => Counted(server).Average(run => run.IdealShare);

    public double GoodputOverCapacity(string server) => Mean(server, run => run.Value.Goodput / run.Capacity);

    public void Print()
    {
        var capacity = Servers.Average(server => Mean(server, run => run.Capacity));
        var offered = Servers.Average(server => Mean(server, run => run.Value.Offered / run.Value.Seconds));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{load} x R0: {offered:N0}/s offered, {offered / capacity:N2} of the capacity beside the generator ({capacity:N0}/s)"));
        Console.WriteLine("server                  within SLO      ideal    refused    goodput/s   over capacity    p50 ms    p99 ms   generator late ms   void");
        foreach (var server in Servers)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{server,-22} {Share(server),10:P2} {IdealShare(server),10:P2} {Mean(server, r => r.Value.RefusedShare),10:P2} {Mean(server, r => r.Value.Goodput),12:N0} {GoodputOverCapacity(server),15:N3} {Mean(server, r => r.Value.P50Ms),9:N1} {Mean(server, r => r.Value.P99Ms),9:N1} {Mean(server, r => r.Value.GeneratorP99Ms),19:N2} {$"{VoidedOf(server)}/{_runs[server].Count}",6}"));
        }
    }

    private static int Void(List<(SettledRun<LoadResult> Made, double IdealShare)> runs) => runs.Count(run => !run.Made.Settled);

    private double Mean(string server, Func<SettledRun<LoadResult>, double> of) => Counted(server).Average(run => of(run.Made));

    private IEnumerable<(SettledRun<LoadResult> Made, double IdealShare)> Counted(string server)
    {
        var runs = _runs[server];
        return Void(runs) == runs.Count ? runs : runs.Where(run => run.Made.Settled);
    }
}
