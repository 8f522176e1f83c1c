using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Benchmarks.Load;
using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Raw;

namespace MArk.Serving.Benchmarks;

/// <summary>
/// What the machine makes of the same work from one moment to the next. The verbs with an open-loop load take a run for void whose capacity was not the same, to two percent, before and after it, and a
/// model that computes on the machine is slowed down by its stalls whatever serves it: this tells beforehand what their figures will be worth, and what they can be at most.
/// </summary>
internal static class SteadinessBenchmark
{
    private const double Load = 0.95;
    private const int RoundsOfCores = 7;
    private const int MostCores = 8;

    public static async Task<int> RunAsync(string[] args)
    {
        if (Arguments.Parse(args,
            Option.Integer("--windows", 30, 2, 10_000, quick: 3),
            Option.Number("--idle-seconds", 20, 0.1, 3600, quick: 0.5),
            Option.Number("--seconds", OpenLoopBench.CapacitySeconds, 0.05, 60, quick: 0.1),
            Option.Number("--slo-ms", 20, 1, 60_000),
            Option.Choice("--model", "mlp", BenchmarkModel.Names)) is not { } arguments)
        {
            return 2;
        }
        var seconds = arguments.Number("--seconds");
        using var model = BenchmarkModel.Open(arguments.Text("--model"));
        using var raw = new RawCapacity(model, instances: 1, OpenLoopBench.MaxBatch);
        raw.FindBest(seconds / 4, rounds: 3);
        Console.WriteLine(Format.Machine());
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{model.Name}, batches of {raw.Batch} in a bare loop, {arguments.Integer("--windows")} windows of {seconds} s, one after the other"));
        var idle = await WatchIdleAsync(TimeSpan.FromSeconds(arguments.Number("--idle-seconds")));
        var stalls = new StallWatch();
        var windows = new List<BareRun>();
        using (stalls)
        {
            for (var i = 0; i < arguments.Integer("--windows"); i++)
            {
                windows.Add(await Task.Run(() => raw.Measure(seconds)));
            }
        }
        var ofCores = MeasureCores(raw, seconds);
        var rates = windows.ConvertAll(window => window.Rate);
        var drifts = rates.Zip(rates.Skip(1), SettledRun.Drift).ToArray();
        var steady = (double)drifts.Count(drift => drift <= SettledRun.MaxDrift) / drifts.Length;
        var slo = TimeSpan.FromMilliseconds(arguments.Number("--slo-ms"));
        var afterwards = Enumerable.Range(1, windows.Count - 1).Average(i => Ideal(i, windows[i - 1].Rate));
        var meanwhile = Enumerable.Range(0, windows.Count).Average(i => Ideal(i, windows[i].Rate));
        // As goodput has them: the capacity, R0, the run, and the capacity again.
        var runs = Enumerable.Range(3, Math.Max(0, windows.Count - 3)).Where(i => SettledRun.IsSettled(rates[i - 3], rates[i])).Select(i => Ideal(i - 1, rates[i - 2])).ToArray();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"\nrequests/s: {rates.Min():N0} to {rates.Max():N0}, median {Statistics.Median(rates):N0}; from one window to the next {Statistics.Median(drifts):P1} (median), within {SettledRun.MaxDrift:P0} in {steady:P0} of the cases"));
        foreach (var (core, rate) in ofCores)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"core {core}, in turn with the others: {rate:N0} (median)"));
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"Of a Poisson load of {Load} x R0 an ideal server would have answered {afterwards:P2} within {slo.TotalMilliseconds} ms if R0 is the rate of the window before, and {meanwhile:P2} if it is that of the same window:"));
        Console.WriteLine(runs.Length == 0
            ? $"of no window to be counted as a run of goodput, which asks that the capacity before it and after it differ by no more than {SettledRun.MaxDrift:P0};"
            : string.Create(CultureInfo.InvariantCulture,
                $"{runs.Average():P2} ({runs.Min():P2} to {runs.Max():P2}) in the {runs.Length} windows that goodput would count as runs: R0 of the window before, and the capacity the same, within {SettledRun.MaxDrift:P0}, before that and after the run;"));
        Console.WriteLine("one that has done as much as the bare loop at every moment, but with single requests instead of batches, and knows what is to come.");
        Console.WriteLine(stalls.ToString());
        Console.WriteLine($"While nothing else ran: {idle}");
        return arguments.Finish(new JsonObject
        {
            ["medianDrift"] = Format.Round(Statistics.Median(drifts)),
            ["withinAllowedDrift"] = Format.Round(steady),
            ["slowestOverFastest"] = Format.Round(rates.Min() / rates.Max()),
            ["slowestCoreOverFastest"] = ofCores.Length == 0 ? null : Format.Round(ofCores.Min(core => core.Rate) / ofCores.Max(core => core.Rate)),
            ["idealShareAt095"] = Format.Round(afterwards),
            ["idealShareAt095OfSameWindow"] = Format.Round(meanwhile),
            ["idealShareAt095OfRuns"] = runs.Length == 0 ? null : Format.Round(runs.Average()),
            ["lowestIdealShareAt095OfRuns"] = runs.Length == 0 ? null : Format.Round(runs.Min()),
            ["runs"] = runs.Length,
            ["stallsPerSecond"] = Format.Round(stalls.PerSecond),
            ["stalledShare"] = Format.Round(stalls.StalledShare),
            ["slownessWhenStalled"] = Format.Round(stalls.Slowness, 2),
            ["stallsPerSecondIdle"] = Format.Round(idle.PerSecond),
            ["stalledShareIdle"] = Format.Round(idle.StalledShare),
        });

        double Ideal(int window, double r0) => windows[window].IdealShare(new PoissonArrivals(Load * r0, 0, seconds, seed: window).Due, slo);
    }

    /// <summary>How much each core makes of the same work, the first few of many.</summary>
    private static (int Core, double Rate)[] MeasureCores(RawCapacity raw, double seconds)
    {
        int[] cores = [.. InstanceCores.All.Take(MostCores)];
        var rounds = Enumerable.Range(0, RoundsOfCores).Select(_ => Array.ConvertAll(cores, core => raw.MeasureOn(core, seconds / 4).Rate)).ToArray();
        return [.. cores.Select((core, i) => (core, Statistics.Median(rounds.Select(rates => rates[i]))))];
    }

    private static async Task<StallWatch> WatchIdleAsync(TimeSpan time)
    {
        using var watch = new StallWatch();
        await Task.Delay(time);
        return watch;
    }
}
