using System.Globalization;
using MArk.Serving.Benchmarks.Load;

namespace MArk.Serving.Benchmarks;

/// <summary>The runs under one load, one a server and seed. A server's means are over those whose capacity settled; over all if none did.</summary>
internal sealed class LoadSummary(double load)
{
    private readonly SortedDictionary<string, List<SettledRun<LoadResult>>> _runs = new(StringComparer.Ordinal);
    private readonly List<double> _ceilings = [];

    public int Runs => _runs.Values.Sum(runs => runs.Count);

    /// <summary>Runs whose capacity never settled.</summary>
    public int Voided => _runs.Values.Sum(runs => runs.Count(run => !run.Settled));

    public IEnumerable<string> Servers => _runs.Keys;

    /// <summary>The share of the load that could have been answered within the objective at most, whoever serves: the mean over all runs.</summary>
    public double Ceiling => _ceilings.Average();

    public void Add(string server, SettledRun<LoadResult> run, double ceiling)
    {
        _ceilings.Add(ceiling);
        if (!_runs.TryGetValue(server, out var runs))
        {
            _runs[server] = runs = [];
        }
        runs.Add(run);
    }

    public double Share(string server) => Mean(server, run => run.Value.Share);

    public double GoodputOverCapacity(string server) => Mean(server, run => run.Value.Goodput / run.Capacity);

    public void Print()
    {
        var capacity = Servers.Average(server => Mean(server, run => run.Capacity));
        var offered = Servers.Average(server => Mean(server, run => run.Value.Offered / run.Value.Seconds));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{load} x R0: {offered:N0}/s offered, {offered / capacity:N2} of the capacity beside the generator ({capacity:N0}/s); at most {Ceiling:P2} of it could be answered within SLO, whoever serves"));
        Console.WriteLine("server                  within SLO    refused    goodput/s   over capacity    p50 ms    p99 ms   generator late ms   void");
        foreach (var server in Servers)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{server,-22} {Share(server),10:P2} {Mean(server, r => r.Value.RefusedShare),10:P2} {Mean(server, r => r.Value.Goodput),12:N0} {GoodputOverCapacity(server),15:N3} {Mean(server, r => r.Value.P50Ms),9:N1} {Mean(server, r => r.Value.P99Ms),9:N1} {Mean(server, r => r.Value.GeneratorP99Ms),19:N2} {VoidedOf(server),6}"));
        }
    }

    private double Mean(string server, Func<SettledRun<LoadResult>, double> of)
    {
        var runs = _runs[server];
        return (runs.Exists(run => run.Settled) ? runs.Where(run => run.Settled) : runs).Average(of);
    }

    private string VoidedOf(string server)
    {
        var runs = _runs[server];
        return string.Create(CultureInfo.InvariantCulture, $"{runs.Count(run => !run.Settled)}/{runs.Count}");
    }
}
