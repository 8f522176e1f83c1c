using System.Globalization;
using MArk.Serving.Benchmarks.Load;

namespace MArk.Serving.Benchmarks;

/// <summary>The runs under one load, one a seed. Means are over those whose capacity settled; over all if none did.</summary>
internal sealed class LoadSummary(double load, double rate)
{
    private readonly List<SettledRun<Dictionary<string, LoadResult>>> _runs = [];

    public int Runs => _runs.Count;

    /// <summary>Runs whose capacity never settled.</summary>
    public int Voided => _runs.Count(run => !run.Settled);

    public IEnumerable<string> Servers => _runs[0].Value.Keys;

    private IEnumerable<SettledRun<Dictionary<string, LoadResult>>> Counted => Voided < Runs ? _runs.Where(run => run.Settled) : _runs;

    public void Add(SettledRun<Dictionary<string, LoadResult>> run) => _runs.Add(run);

    public double Share(string server) => Counted.Average(run => run.Value[server].Share);

    public double GoodputOverCapacity(string server) => Counted.Average(run => run.Value[server].Goodput / run.Capacity);

    public void Print()
    {
        var capacity = Counted.Average(run => run.Capacity);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"capacity beside the generator {capacity:N0}/s, of which the load is {rate / capacity:N2}; drift at most {100 * _runs.Max(run => run.Drift):N1} %{Caveat()}"));
        Console.WriteLine("server                  within SLO    refused    goodput/s   over capacity    p50 ms    p99 ms   generator late ms");
        foreach (var server in Servers.Order())
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{server,-22} {Share(server),10:P2} {Mean(server, r => r.RefusedShare),10:P2} {Mean(server, r => r.Goodput),12:N0} {GoodputOverCapacity(server),15:N3} {Mean(server, r => r.P50Ms),9:N1} {Mean(server, r => r.P99Ms),9:N1} {Mean(server, r => r.GeneratorP99Ms),19:N2}"));
        }
    }

    private double Mean(string server, Func<LoadResult, double> of) => Counted.Average(run => of(run.Value[server]));

    private string Caveat() =>
        Voided == 0 ? ""
        : Voided < Runs ? $"; {Voided} of {Runs} seeds VOID (left out: the capacity never settled)"
        : string.Create(CultureInfo.InvariantCulture, $"; all {Runs} seeds at {load} x R0 VOID (shown all the same: the capacity never settled)");
}
