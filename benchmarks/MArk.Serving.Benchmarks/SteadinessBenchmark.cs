using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Benchmarks.Load;
using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Raw;

namespace MArk.Serving.Benchmarks;

/// <summary>
/// What the machine makes of the same work from one moment to the next. The verbs with an open-loop load take a run for void whose capacity was not the same, to two percent, before and after it, and a
/// model that computes on the machine is slowed down by its stalls whatever serves it: this tells beforehand what their figures will be worth.
/// </summary>
internal static class SteadinessBenchmark
{
    public static async Task<int> RunAsync(string[] args)
    {
        if (Arguments.Parse(args,
            Option.Integer("--windows", 30, 3, 10_000, quick: 3),
            Option.Number("--idle-seconds", 20, 0.1, 3600, quick: 0.5),
            Option.Number("--seconds", OpenLoopBench.CapacitySeconds, 0.05, 60, quick: 0.1),
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
        using var stalls = new StallWatch();
        var rates = new List<double>();
        for (var i = 0; i < arguments.Integer("--windows"); i++)
        {
            rates.Add(await Task.Run(() => raw.Measure(seconds)));
        }
        var drifts = rates.Zip(rates.Skip(1), (before, after) => Math.Abs(after / before - 1)).ToArray();
        var steady = (double)drifts.Count(drift => drift <= SettledRun.MaxDrift) / drifts.Length;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"\nrequests/s: {rates.Min():N0} to {rates.Max():N0}, median {Statistics.Median(rates):N0}; from one window to the next {Statistics.Median(drifts):P1} (median), within {SettledRun.MaxDrift:P0} in {steady:P0} of the cases"));
        Console.WriteLine(stalls.ToString());
        Console.WriteLine($"While nothing else ran: {idle}");
        return arguments.Finish(new JsonObject
        {
            ["medianDrift"] = Format.Round(Statistics.Median(drifts)),
            ["withinAllowedDrift"] = Format.Round(steady),
            ["slowestOverFastest"] = Format.Round(rates.Min() / rates.Max()),
            ["stallsPerSecond"] = Format.Round(stalls.PerSecond),
            ["stalledShare"] = Format.Round(stalls.StalledShare),
            ["slownessWhenStalled"] = Format.Round(stalls.Slowness, 2),
            ["stallsPerSecondIdle"] = Format.Round(idle.PerSecond),
            ["stalledShareIdle"] = Format.Round(idle.StalledShare),
        });
    }

    private static async Task<StallWatch> WatchIdleAsync(TimeSpan time)
    {
        using var watch = new StallWatch();
        await Task.Delay(time);
        return watch;
    }
}
