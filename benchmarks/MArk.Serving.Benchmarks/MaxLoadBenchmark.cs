using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Benchmarks.Load;
using MArk.Serving.Benchmarks.Servers;

namespace MArk.Serving.Benchmarks;

/// <summary>
/// The highest Poisson rate at which 99 % of all requests are answered within the objective, found by bisection (MLPerf Inference's server
/// scenario). Each server's rate is taken over the capacity measured around its own search, so that what drifts between two searches favours none.
/// </summary>
internal static class MaxLoadBenchmark
{
    private const double WantedShare = 0.99;
    private const double Highest = 1.2;         // x R0
    private const double CapacityLoad = 0.9;    // the generator's rate while the capacity is measured, x R0
    private const int CoarseSteps = 4;
    private const int SecondSeed = 100;

    public static async Task<int> RunAsync(string[] args)
    {
        Option[] options = [.. OpenLoopBench.Options(seconds: 5), Option.Integer("--steps", 7, 1, 20, quick: 2)];
        if (Arguments.Parse(args, options) is not { } arguments)
        {
            return 2;
        }
        using var bench = OpenLoopBench.Start(arguments);
        var steps = arguments.Integer("--steps");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"loads: {steps} steps of bisection from 0 to {Highest} x R0; seeds 1 to {steps}, one a step, and {SecondSeed} more for the second try; {WantedShare:P0} within the objective"));
        var windows = WindowSearch.Windows(arguments.Quick);
        await using var batchBlocks = new WindowSearch(bench.Servers.BatchBlockAsync, windows);
        await using var fixedWindows = new WindowSearch(bench.Servers.FixedWindowAsync, windows);
        await using var serveLate = await bench.Servers.ServeLateAsync();
        await using var reject = await bench.Servers.RejectAsync();
        await using var naive = await bench.Servers.NaiveAsync();
        await using var channel = await bench.Servers.ChannelAsync();
        var (batchBlock, batchBlockWindow) = await batchBlocks.BestAsync(server => FindAsync(bench, server, CoarseSteps, bench.Seconds / 4));
        var (fixedWindow, fixedWindowWindow) = await fixedWindows.BestAsync(server => FindAsync(bench, server, CoarseSteps, bench.Seconds / 4));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"windows: BatchBlock {batchBlockWindow.TotalMilliseconds} ms, fixed {fixedWindowWindow.TotalMilliseconds} ms"));
        Console.WriteLine("\nserver                 requests/s   over capacity   capacity's drift");
        var ratios = new Dictionary<string, double>();
        var voided = 0;
        foreach (var server in new[] { serveLate, reject, naive, batchBlock, channel, fixedWindow })
        {
            var run = await bench.MeasureSettledAsync(CapacityLoad * bench.R0, seed: 1, () => FindAsync(bench, server, steps, bench.Seconds));
            ratios[server.Name] = run.Value / run.Capacity;
            voided += run.Settled ? 0 : 1;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{server.Name,-22} {run.Value,10:N0} {ratios[server.Name],15:N3} {run.Drift,18:P1}{(run.Settled ? "" : "   VOID: the capacity never settled")}"));
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"\nThe generator was at most {bench.GeneratorP99Ms:N2} ms late (99th percentile of the worst run)."));
        return arguments.Finish(Result(ratios, serveLate.Name, reject.Name, voided));
    }

    private static async Task<double> FindAsync(OpenLoopBench bench, IServer server, int steps, double seconds)
    {
        double low = 0, high = Highest * bench.R0;
        for (var step = 1; step <= steps; step++)
        {
            var middle = (low + high) / 2;
            (low, high) = await KeepsUpAsync(bench, server, middle, step, seconds) ? (middle, high) : (low, middle);
        }
        return low;
    }

    /// <summary>A rate that fails is tried once more with another seed: a bisection does not come back from a single hiccup of the machine.</summary>
    private static async Task<bool> KeepsUpAsync(OpenLoopBench bench, IServer server, double rate, int step, double seconds) =>
        (await bench.ServeAsync(server, rate, seed: step, seconds)).Share >= WantedShare
        || (await bench.ServeAsync(server, rate, seed: step + SecondSeed, seconds)).Share >= WantedShare;

    /// <summary>The engine's own figure is the worse of its two modes; each mode is there too.</summary>
    private static JsonObject Result(Dictionary<string, double> ratios, string serveLate, string reject, int voided)
    {
        var peers = ratios.Keys.Except([serveLate, reject]).ToArray();
        var best = peers.Max(peer => ratios[peer]);
        var worse = Math.Min(ratios[serveLate], ratios[reject]);
        var result = new JsonObject { ["ratioToBestPeer"] = Format.Ratio(worse, best), ["ratioToRaw"] = Format.Round(worse) };
        result["serveLate"] = Format.Round(ratios[serveLate]);
        result["reject"] = Format.Round(ratios[reject]);
        result["peers"] = new JsonObject(peers.Select(peer => KeyValuePair.Create<string, JsonNode?>(Format.Key(peer), Format.Round(ratios[peer]))));
        result["runs"] = ratios.Count;
        result["voided"] = voided;
        return result;
    }
}
