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
    private const int MaxAttempts = 5;
    private const double MaxOverslept = 0.005;

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
        Console.WriteLine("\n          within the objective            mean batch           p50 ms           p99 ms   batches\nseed         live   simulated       live   simulated   live   simulated   live   simulated   overslept");
        var (share, batch, p99, voided) = (0.0, 0.0, 0.0, 0);
        for (var seed = 1; seed <= arguments.Integer("--seeds"); seed++)
        {
            var arrivals = new PoissonArrivals(rate, 0, arguments.Number("--seconds"), seed);
            var simulated = Simulate(profile, instances, slo, arrivals);
            var live = await MeasureAsync(server, loop, arrivals, slo);
            for (var attempt = 1; live.Overslept > MaxOverslept && attempt < MaxAttempts; attempt++)
            {
                var again = await MeasureAsync(server, loop, arrivals, slo);
                live = again.Overslept < live.Overslept ? again : live;
            }
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{seed,4} {live.Load.Share,12:P2} {simulated.SloAttainment,11:P2} {live.MeanBatch,10:N2} {simulated.MeanBatch,11:N2} {live.Load.P50Ms,6:N2} {simulated.P50.TotalMilliseconds,11:N2} {live.Load.P99Ms,6:N2} {simulated.P99.TotalMilliseconds,11:N2} {live.Overslept,11:P2}{(live.Overslept > MaxOverslept ? " void" : "")}"));
            voided += live.Overslept > MaxOverslept ? 1 : 0;
            share = Math.Max(share, 100 * Math.Abs(live.Load.Share - simulated.SloAttainment));
            batch = Math.Max(batch, 100 * Math.Abs(live.MeanBatch / simulated.MeanBatch - 1));
            p99 = Math.Max(p99, 100 * Math.Abs(live.Load.P99Ms / simulated.P99.TotalMilliseconds - 1));
        }
        Console.WriteLine(FormattableString.Invariant(
            $"\nThe figures are those of the seed that differs most. A run in which more than {MaxOverslept:P1} of the batches took over 1 ms longer than their time, as the machine paused, is made again, {MaxAttempts} times at most; the calmest counts, and is void if it was not calm enough."));
        return arguments.Finish(new JsonObject
        {
            ["sloShareDiffPp"] = Format.Round(share, 2),
            ["meanBatchDiffPct"] = Format.Round(batch, 2),
            ["p99DiffPct"] = Format.Round(p99, 2),
            ["voided"] = voided,
        });
    }

    private static async Task<LiveRun> MeasureAsync(WaitingServer server, OpenLoop loop, PoissonArrivals arrivals, TimeSpan slo)
    {
        var (before, overslept) = (server.Report, server.Overslept);
        var load = await loop.RunAsync(server, arrivals, slo);
        var after = server.Report;
        var batches = (double)(after.BatchesByReason.Values.Sum() - before.BatchesByReason.Values.Sum());
        return new LiveRun(load, (after.Succeeded - before.Succeeded) / batches, (server.Overslept - overslept) / batches);
    }

    /// <summary>A live run.</summary>
    /// <param name="Load">What was answered, and when.</param>
    /// <param name="MeanBatch">Requests of a batch.</param>
    /// <param name="Overslept">The share of batches that took more than a millisecond longer than their time.</param>
    private readonly record struct LiveRun(LoadResult Load, double MeanBatch, double Overslept);

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
