using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Benchmarks.Load;
using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Servers;

namespace MArk.Serving.Benchmarks;

/// <summary>
/// The highest Poisson rate at which 99 % of all requests are answered within the objective, found by bisection (MLPerf Inference's server
/// scenario), in multiples of the raw capacity: that is measured anew for each try, so that what drifts between two tries favours none.
/// </summary>
internal static class MaxLoadBenchmark
{
    private const double WantedShare = 0.99;
    private const double Highest = 1.2;         // x R0
    private const int CoarseSteps = 4;
    private const int SecondSeed = 100;

    public static async Task<int> RunAsync(string[] args)
    {
        Option[] options = [.. OpenLoopBench.Options(seconds: 5, BenchmarkModel.NamesUnderLoad), Option.Integer("--steps", 7, 1, 20, quick: 2)];
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
        var (batchBlock, batchBlockWindow) = await batchBlocks.BestAsync(server => FindRoughlyAsync(bench, server));
        var (fixedWindow, fixedWindowWindow) = await fixedWindows.BestAsync(server => FindRoughlyAsync(bench, server));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"windows: BatchBlock {batchBlockWindow.TotalMilliseconds} ms, fixed {fixedWindowWindow.TotalMilliseconds} ms"));
        await bench.WarmUpAsync(serveLate, reject, naive, channel);
        Console.WriteLine("\nserver                    x R0   void tries   failed tries   of these ideal too");
        var found = new Dictionary<string, Found>();
        foreach (var server in new[] { serveLate, reject, naive, batchBlock, channel, fixedWindow })
        {
            var highest = await FindAsync(bench, server, steps);
            found[server.Name] = highest;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{server.Name,-22} {highest.Load,7:N3} {$"{highest.Voided}/{highest.Tries}",12} {highest.Failed,14} {highest.IdealFailed,20}"));
        }
        Console.WriteLine($"\n{bench.Conditions()}");
        return arguments.Finish(Result(found, serveLate.Name, reject.Name, bench.StalledShare));
    }

    private static async Task<Found> FindAsync(OpenLoopBench bench, IServer server, int steps)
    {
        int tries = 0, voided = 0, failed = 0, idealFailed = 0;
        var load = await BisectAsync(steps, async (load, step) => await KeepsUpAsync(load, step) || await KeepsUpAsync(load, step + SecondSeed));
        return new Found(load, tries, voided, failed, idealFailed);

        // A load that fails is tried once more with another seed: a bisection does not come back from a single hiccup of the machine.
        async Task<bool> KeepsUpAsync(double load, int seed)
        {
            var run = await bench.MeasureSettledAsync(load, seed, rate => bench.ServeAsync(server, rate, seed));
            tries++;
            voided += run.Settled ? 0 : 1;
            var keepsUp = run.Value.Share >= WantedShare;
            failed += keepsUp ? 0 : 1;
            idealFailed += keepsUp || bench.IdealShare(run, seed) >= WantedShare ? 0 : 1;
            return keepsUp;
        }
    }

    /// <summary>For the choice of a window: fewer steps, shorter tries, and the raw capacity as it was measured last.</summary>
    private static Task<double> FindRoughlyAsync(OpenLoopBench bench, IServer server) =>
        BisectAsync(CoarseSteps, async (load, step) => (await bench.ServeAsync(server, load * bench.R0, step, bench.Seconds / 2)).Share >= WantedShare);

    /// <summary>The highest load that is kept up with, in multiples of the raw capacity.</summary>
    private static async Task<double> BisectAsync(int steps, Func<double, int, Task<bool>> keepsUpAsync)
    {
        double low = 0, high = Highest;
        for (var step = 1; step <= steps; step++)
        {
            var middle = (low + high) / 2;
            (low, high) = await keepsUpAsync(middle, step) ? (middle, high) : (low, middle);
        }
        return low;
    }

    /// <summary>The engine's own figure is the worse of its two modes; each mode is there too.</summary>
    private static JsonObject Result(Dictionary<string, Found> found, string serveLate, string reject, double stalledShare)
    {
        var peers = found.Keys.Except([serveLate, reject]).ToArray();
        var best = peers.Max(peer => found[peer].Load);
        var worse = Math.Min(found[serveLate].Load, found[reject].Load);
        return new JsonObject
        {
            ["ratioToBestPeer"] = Format.Ratio(worse, best),
            ["ratioToRaw"] = Format.Round(worse),
            ["failedTries"] = found[serveLate].Failed + found[reject].Failed,
            ["failedTriesOfIdeal"] = found[serveLate].IdealFailed + found[reject].IdealFailed,
            ["serveLate"] = Format.Round(found[serveLate].Load),
            ["reject"] = Format.Round(found[reject].Load),
            ["peers"] = new JsonObject(peers.Select(peer => KeyValuePair.Create<string, JsonNode?>(Format.Key(peer), Format.Round(found[peer].Load)))),
            ["runs"] = found.Values.Sum(f => f.Tries),
            ["voided"] = found.Values.Sum(f => f.Voided),
            ["stalledShare"] = Format.Round(stalledShare),
        };
    }

    /// <param name="Load">The highest load that was kept up with, x R0.</param>
    /// <param name="Tries">How often one was tried.</param>
    /// <param name="Voided">How often the capacity never settled meanwhile.</param>
    /// <param name="Failed">How often one was not kept up with.</param>
    /// <param name="IdealFailed">How many of these an ideal server would not have kept up with either, at the speed the bare loop had before and after the try.</param>
    private sealed record Found(double Load, int Tries, int Voided, int Failed, int IdealFailed);
}
