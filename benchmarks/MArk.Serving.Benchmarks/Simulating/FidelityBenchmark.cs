using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Batching;
using MArk.Serving.Benchmarks.Load;
using MArk.Serving.Benchmarks.Servers;
using MArk.Serving.Simulation;

namespace MArk.Serving.Benchmarks.Simulating;

/// <summary>Whether the simulator tells what happens: the live engine on instances whose batches take T_b = 5 + 0.5 b ms, and the simulator, on the same arrivals.</summary>
internal static class FidelityBenchmark
{
    private const int MaxBatch = 32;

    public static async Task<int> RunAsync(string[] args)
    {
        Option[] options =
        [
            Option.Number("--seconds", 60, 0.1, 3600, quick: 1),
            Option.Integer("--seeds", 5, 1, 100, quick: 1),
            Option.Number("--load", 0.8, 0.01, 2),
            Option.Number("--slo-ms", 50, 10, 60_000),
            Option.Integer("--instances", 2, 1, 64),
        ];
        if (Arguments.Parse(args, options) is not { } arguments)
        {
            return 2;
        }
        var profile = LatencyProfile.Linear(TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(0.5), MaxBatch);
        var slo = TimeSpan.FromMilliseconds(arguments.Number("--slo-ms"));
        var instances = arguments.Integer("--instances");
        var rate = arguments.Number("--load") * instances * MaxBatch / profile.Mean(MaxBatch).TotalSeconds;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Format.Machine()}\nT_b = 5 + 0.5 b ms, batches of up to {MaxBatch}, {instances} instances, objective {slo.TotalMilliseconds} ms, {rate:N0} requests/s for {arguments.Number("--seconds")} s"));
        await using var server = await WaitingServer.StartAsync(profile, instances, slo);
        var loop = new OpenLoop([[]]);
        // The run-time compiles what is called often while it is called.
        await loop.RunAsync(server, new PoissonArrivals(rate, 0, Math.Min(5, arguments.Number("--seconds")), seed: 0), slo);
        Console.WriteLine("\n          within the objective            mean batch           p50 ms           p99 ms\nseed         live   simulated       live   simulated   live   simulated   live   simulated");
        var (share, batch, p99) = (0.0, 0.0, 0.0);
        for (var seed = 1; seed <= arguments.Integer("--seeds"); seed++)
        {
            var arrivals = new PoissonArrivals(rate, 0, arguments.Number("--seconds"), seed);
            var before = server.Report;
            var live = await loop.RunAsync(server, arrivals, slo);
            var after = server.Report;
            var liveBatch = (double)(after.Succeeded - before.Succeeded) / (after.BatchesByReason.Values.Sum() - before.BatchesByReason.Values.Sum());
            var simulated = Simulate(profile, instances, slo, arrivals);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{seed,4} {live.Share,12:P2} {simulated.SloAttainment,11:P2} {liveBatch,10:N2} {simulated.MeanBatch,11:N2} {live.P50Ms,6:N2} {simulated.P50.TotalMilliseconds,11:N2} {live.P99Ms,6:N2} {simulated.P99.TotalMilliseconds,11:N2}"));
            share = Math.Max(share, 100 * Math.Abs(live.Share - simulated.SloAttainment));
            batch = Math.Max(batch, 100 * Math.Abs(liveBatch / simulated.MeanBatch - 1));
            p99 = Math.Max(p99, 100 * Math.Abs(live.P99Ms / simulated.P99.TotalMilliseconds - 1));
        }
        Console.WriteLine("\nThe figures are those of the seed that differs most.");
        return arguments.Finish(new JsonObject
        {
            ["sloShareDiffPp"] = Format.Round(share, 2),
            ["meanBatchDiffPct"] = Format.Round(batch, 2),
            ["p99DiffPct"] = Format.Round(p99, 2),
        });
    }

    private static SimulationResult Simulate(LatencyProfile profile, int instances, TimeSpan slo, PoissonArrivals arrivals) => ServingSimulator.Run(
        new SimulationSettings
        {
            Slo = slo,
            MaxBatchSize = MaxBatch,
            CreatePolicy = _ => new SloAwareBatchPolicy(),
            Fleet = [.. Enumerable.Repeat(new SimulatedInstance(new InstanceOffering { Name = "waiting" }, profile), instances)],
        },
        arrivals.Due.Select(due => TimeSpan.FromSeconds((double)due / Stopwatch.Frequency)));
}
