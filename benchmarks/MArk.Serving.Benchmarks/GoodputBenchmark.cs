using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Benchmarks.Load;
using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Raw;
using MArk.Serving.Benchmarks.Servers;

namespace MArk.Serving.Benchmarks;

/// <summary>
/// What share of an offered load is answered within the objective, below and above the raw capacity: the engine in each of its ways to treat a
/// request it cannot finish in time, and its peers. All take turns under the same arrivals, and each run has the capacity measured before and after it.
/// </summary>
internal static class GoodputBenchmark
{
    private const double SpilloverLoad = 1.2;
    private const string AllLoads = "all";
    private static readonly double[] Loads = [0.5, 0.8, 0.95, SpilloverLoad, 2.0];

    public static async Task<int> RunAsync(string[] args)
    {
        Option[] options =
        [
            .. OpenLoopBench.Options(seconds: 2, BenchmarkModel.NamesUnderLoad),
            Option.Integer("--seeds", 5, 1, 100, quick: 1),
            Option.Number("--spill-ms", 5, 0, 1000),
            Option.Choice("--load", AllLoads, [AllLoads, .. Loads.Select(load => load.ToString(CultureInfo.InvariantCulture))]),
        ];
        if (Arguments.Parse(args, options) is not { } arguments)
        {
            return 2;
        }
        var loads = arguments.Text("--load") == AllLoads ? Loads : [arguments.Number("--load")];
        using var bench = OpenLoopBench.Start(arguments);
        var seeds = Enumerable.Range(1, arguments.Integer("--seeds")).ToArray();
        Console.WriteLine($"loads x R0, which is measured anew for each run: {Format.List(loads)}; seeds {string.Join(", ", seeds)}; spilled requests are answered after {arguments.Text("--spill-ms")} ms");
        var windows = WindowSearch.Windows(arguments.Quick);
        await using var batchBlocks = new WindowSearch(bench.Servers.BatchBlockAsync, windows);
        await using var fixedWindows = new WindowSearch(bench.Servers.FixedWindowAsync, windows);
        await using var serveLate = await bench.Servers.ServeLateAsync();
        await using var reject = await bench.Servers.RejectAsync();
        await using var spill = await bench.Servers.SpillAsync(TimeSpan.FromMilliseconds(arguments.Number("--spill-ms")));
        await using var naive = await bench.Servers.NaiveAsync();
        await using var channel = await bench.Servers.ChannelAsync();
        await bench.WarmUpAsync(serveLate, reject, naive, channel);
        await bench.WarmUpAsync(SpilloverLoad, spill);      // under less it spills nothing
        var byLoad = new Dictionary<double, LoadSummary>();
        foreach (var load in loads)
        {
            var rate = load * bench.R0;
            var (batchBlock, batchBlockWindow) = await bench.BestWindowAsync(batchBlocks, rate);
            var (fixedWindow, fixedWindowWindow) = await bench.BestWindowAsync(fixedWindows, rate);
            var summary = new LoadSummary(load);
            IServer[] servers = [serveLate, reject, .. load == SpilloverLoad ? [spill] : Array.Empty<IServer>(), naive, batchBlock, channel, fixedWindow];
            foreach (var seed in seeds)
            {
                await TakeTurnsAsync(bench, servers, load, seed, summary);
            }
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"\nwindows: BatchBlock {batchBlockWindow.TotalMilliseconds} ms, fixed {fixedWindowWindow.TotalMilliseconds} ms"));
            summary.Print();
            byLoad[load] = summary;
        }
        Console.WriteLine($"\n{bench.Conditions()}");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"Latency counts from the scheduled arrival; the generator's own lateness (its 99th percentile) is part of it. What still waits two objectives after the last arrival counts with its time so far, as more. Ideal: what one that knows all arrivals would have kept within SLO, request by request, at the speed the bare loop had from moment to moment before and after the runs (nothing is spilled). Peers have nowhere to spill to: theirs at {SpilloverLoad} is the plain share."));
        return arguments.Finish(Result(byLoad, serveLate.Name, reject.Name, spill.Name, bench.StalledShare));
    }

    private static async Task TakeTurnsAsync(OpenLoopBench bench, IServer[] servers, double load, int seed, LoadSummary summary)
    {
        BareRun? last = null;
        for (var i = 0; i < servers.Length; i++)
        {
            // Each seed begins with another server, so that none always follows the same one.
            var server = servers[(i + seed) % servers.Length];
            var run = await bench.MeasureSettledAsync(load, seed, rate => bench.ServeAsync(server, rate, seed), last);
            var ideal = bench.IdealShare(run, seed);
            summary.Add(server.Name, run, ideal);
            last = run.After;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{load} x R0, seed {seed}, {server.Name}: {run.Value.Share:P2} within SLO (ideal {ideal:P2}) of {run.Rate / run.Capacity:N3} of the capacity beside the generator, which drifted by {run.Drift:P1}{(run.Settled ? "" : ": void")}"));
        }
    }

    /// <summary>The engine's own figure is the worse of its two modes without spillover; each mode is there too. What was not measured is null.</summary>
    private static JsonObject Result(Dictionary<double, LoadSummary> byLoad, string serveLate, string reject, string spill, double stalledShare)
    {
        var (at095, at120, at200) = (byLoad.GetValueOrDefault(0.95), byLoad.GetValueOrDefault(SpilloverLoad), byLoad.GetValueOrDefault(2.0));
        JsonObject Of(string server) => new()
        {
            ["sloShareAt095"] = Rounded(at095?.Share(server)),
            ["idealShareAt095"] = Rounded(at095?.IdealShare(server)),
            ["goodputOverCapacityAt200"] = Rounded(at200?.GoodputOverCapacity(server)),
            ["sloShareAt120WithSpillover"] = Rounded(at120?.Share(server)),
            ["voidedAt095"] = at095?.VoidedOf(server),
            ["voidedAt200"] = at200?.VoidedOf(server),
            ["voidedAt120"] = at120?.VoidedOf(server),
        };
        var peers = new JsonObject();
        foreach (var peer in byLoad.Values.First().Servers.Except([serveLate, reject, spill]))
        {
            peers[Format.Key(peer)] = Of(peer);
        }
        return new JsonObject
        {
            ["sloShareAt095"] = Rounded(at095 is null ? null : Math.Min(at095.Share(serveLate), at095.Share(reject))),
            ["goodputOverCapacityAt200"] = Rounded(at200 is null ? null : Math.Min(at200.GoodputOverCapacity(serveLate), at200.GoodputOverCapacity(reject))),
            ["sloShareAt120WithSpillover"] = Rounded(at120?.Share(spill)),
            ["voidedWithSpillover"] = at120?.VoidedOf(spill),
            ["serveLate"] = Of(serveLate),
            ["reject"] = Of(reject),
            ["peers"] = peers,
            ["runs"] = byLoad.Values.Sum(s => s.Runs),
            ["voided"] = byLoad.Values.Sum(s => s.Voided),
            ["stalledShare"] = Format.Round(stalledShare),
        };
    }

    private static JsonNode? Rounded(double? value) => value is { } known ? Format.Round(known) : null;
}
