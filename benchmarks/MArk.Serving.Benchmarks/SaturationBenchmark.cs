using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Benchmarks.Load;
using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Raw;
using MArk.Serving.Benchmarks.Servers;

namespace MArk.Serving.Benchmarks;

/// <summary>
/// How much of the raw capacity is left when 256 callers never let a server idle. All take turns within each round, so that the machine's noise meets all;
/// the bare loop runs before and after each of them, and a server's rate is taken over the mean of those two. Ratios are medians over rounds, many and short,
/// since the machine's speed moves from second to second. Without peers there is time for more of them.
/// </summary>
internal static class SaturationBenchmark
{
    private const int Callers = 256;
    private const int MaxBatch = 32;

    public static async Task<int> RunAsync(string[] args)
    {
        if (Arguments.Parse(args,
            Option.Integer("--rounds", 31, 1, 1000, quick: 1),
            Option.Number("--seconds", 0.3, 0.05, 60, quick: 0.1),
            Option.Number("--search-seconds", 0.75, 0.05, 60, quick: 0.1),
            Option.Number("--slo-ms", 1000, 1, 60_000),
            Option.Choice("--model", "all", [.. BenchmarkModel.Names, "all"]),
            Option.Choice("--peers", "all", ["all", "none"]),
            Option.Integer("--instances", 1, 1, Environment.ProcessorCount)) is not { } arguments)
        {
            return 2;
        }
        Console.WriteLine(Format.Machine());
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"saturation: {Callers} callers, batches of up to {MaxBatch}, {arguments.Integer("--instances")} instance(s) of 1 thread, objective {arguments.Number("--slo-ms")} ms, {arguments.Integer("--rounds")} rounds of {arguments.Number("--seconds")} s each"));
        var result = new JsonObject();
        var peers = new JsonObject();
        string[] names = arguments.Text("--model") is not "all" and var chosen ? [chosen] : BenchmarkModel.Names;
        foreach (var name in names)
        {
            var ratios = await MeasureAsync(name, arguments);
            result[name] = Format.Round(ratios[0].Ratio);
            foreach (var (peer, ratio) in ratios.Skip(1))
            {
                var key = Format.Key(peer);
                peers[key] ??= new JsonObject();
                peers[key]![name] = Format.Round(ratio);
            }
        }
        result["peers"] = peers;
        return arguments.Finish(result);
    }

    private static async Task<List<(string Server, double Ratio)>> MeasureAsync(string name, Arguments arguments)
    {
        var searchSeconds = arguments.Number("--search-seconds");
        var warmUp = RawCapacity.WarmUp(arguments.Number("--seconds"));
        var instances = arguments.Integer("--instances");
        using var model = BenchmarkModel.Open(name);
        using var cores = new InstanceCoresKeeper(model, instances);
        using var raw = new RawCapacity(model, instances, MaxBatch);
        raw.FindBest(searchSeconds / 2, rounds: 5);
        var loop = new ClosedLoop(model, Callers);
        var set = new ServerSet(model, instances, MaxBatch, TimeSpan.FromMilliseconds(arguments.Number("--slo-ms")));
        await using var engine = await set.ServeLateAsync();
        if (arguments.Text("--peers") == "none")
        {
            return await MeasureAsync(name, raw, loop, [engine], arguments, "");
        }
        var windows = WindowSearch.Windows(arguments.Quick);
        await using var batchBlocks = new WindowSearch(set.BatchBlockAsync, windows);
        await using var fixedWindows = new WindowSearch(set.FixedWindowAsync, windows);
        await using var naive = await set.NaiveAsync();
        await using var channel = await set.ChannelAsync();
        var (batchBlock, batchBlockWindow) = await batchBlocks.BestAsync(server => loop.MeasureAsync(server, warmUp, searchSeconds));
        var (fixedWindow, fixedWindowWindow) = await fixedWindows.BestAsync(server => loop.MeasureAsync(server, warmUp, searchSeconds));
        return await MeasureAsync(name, raw, loop, [engine, naive, batchBlock, channel, fixedWindow], arguments, string.Create(CultureInfo.InvariantCulture,
            $"    (windows: BatchBlock {batchBlockWindow.TotalMilliseconds} ms, fixed {fixedWindowWindow.TotalMilliseconds} ms)"));
    }

    private static async Task<List<(string Server, double Ratio)>> MeasureAsync(string name, RawCapacity raw, ClosedLoop loop, IServer[] servers, Arguments arguments, string note)
    {
        var seconds = arguments.Number("--seconds");
        var warmUp = RawCapacity.WarmUp(seconds);
        var rawRates = new List<double>();
        var rates = servers.Select(_ => new List<double>()).ToArray();
        var overRaw = servers.Select(_ => new List<double>()).ToArray();
        for (var round = 0; round < arguments.Integer("--rounds"); round++)
        {
            rawRates.Add(raw.Measure(seconds).Rate);
            for (var i = 0; i < servers.Length; i++)
            {
                var rate = await loop.MeasureAsync(servers[i], warmUp, seconds);
                var before = rawRates[^1];
                rawRates.Add(raw.Measure(seconds).Rate);
                rates[i].Add(rate);
                overRaw[i].Add(2 * rate / (before + rawRates[^1]));
            }
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"\n{name,-22} requests/s   over raw{note}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{$"raw, batches of {raw.Batch}",-22} {Statistics.Median(rawRates),10:N0} {1.0,10:N3}"));
        var ratios = new List<(string, double)>();
        for (var i = 0; i < servers.Length; i++)
        {
            var ratio = Statistics.Median(overRaw[i]);
            ratios.Add((servers[i].Name, ratio));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{servers[i].Name,-22} {Statistics.Median(rates[i]),10:N0} {ratio,10:N3}"));
        }
        return ratios;
    }
}
