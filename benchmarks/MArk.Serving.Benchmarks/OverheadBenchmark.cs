using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Benchmarks.Peers;

namespace MArk.Serving.Benchmarks;

/// <summary>
/// What the engine costs a request: a model that does nothing, closed loop with 64 and 512 callers, the engine against a TPL Dataflow
/// batcher and a greedy channel. The three take turns within each round, so that the machine's noise meets all; ratios are medians over rounds.
/// </summary>
internal static class OverheadBenchmark
{
    private const int MaxBatch = 32;

    public static async Task<int> RunAsync(string[] args)
    {
        if (Arguments.Parse(args) is not { } arguments)
        {
            return 2;
        }
        var rounds = arguments.Quick ? 3 : 9;
        var seconds = arguments.Quick ? 0.3 : 2.0;
        var byCallers = new JsonObject();
        var ratios = new List<double>();
        var bytes = new List<double>();
        var bytesWithToken = new List<double>();
        Console.WriteLine(Format.Machine());
        Console.WriteLine($"no-op model, batches of up to {MaxBatch}, {rounds} rounds of {seconds.ToString(CultureInfo.InvariantCulture)} s each, {Environment.ProcessorCount} cores");
        foreach (var callers in new[] { 64, 512 })
        {
            var batchers = new List<IBatcher>
            {
                await EngineBatcher.StartAsync(MaxBatch),
                new BatchBlockBatcher(MaxBatch, TimeSpan.FromMilliseconds(1)),
                new ChannelBatcher(MaxBatch),
            };
            var samples = batchers.ToDictionary(b => b.Name, _ => new List<Sample>());
            foreach (var batcher in batchers)
            {
                await MeasureAsync(batcher, callers, Math.Min(1.5 * seconds, 3));     // warm-up: tiered compilation, pools
            }
            for (var round = 0; round < rounds; round++)
            {
                foreach (var batcher in batchers)
                {
                    samples[batcher.Name].Add(await MeasureAsync(batcher, callers, seconds));
                }
            }
            Console.WriteLine($"\n{callers} callers             requests/s   bytes/request   ratio to engine");
            var engine = samples[batchers[0].Name];
            foreach (var batcher in batchers)
            {
                var own = samples[batcher.Name];
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{batcher.Name,-22} {Statistics.Median(own.Select(s => s.Rate)),12:N0} {Statistics.Median(own.Select(s => s.BytesPerRequest)),15:N1} {Statistics.Median(own.Zip(engine, (s, e) => s.Rate / e.Rate)),17:N3}"));
                await batcher.DisposeAsync();
            }
            bytesWithToken.Add(await MeasureWithTokensAsync(callers, seconds));
            // Within each round the engine against the better of the two: the machine's mood is the same for both.
            var ratio = Statistics.Median(Enumerable.Range(0, rounds).Select(r => engine[r].Rate / batchers.Skip(1).Max(b => samples[b.Name][r].Rate)));
            ratios.Add(ratio);
            bytes.Add(Statistics.Median(engine.Select(s => s.BytesPerRequest)));
            byCallers[callers.ToString(CultureInfo.InvariantCulture)] = new JsonObject
            {
                ["ratioToBestPeer"] = Format.Round(ratio, 3),
                ["bytesPerRequest"] = Format.Round(bytes[^1], 2),
                ["bytesPerRequestWithToken"] = Format.Round(bytesWithToken[^1], 2),
            };
        }
        return arguments.Finish(new JsonObject
        {
            ["ratioToBestPeer"] = Format.Round(ratios.Min(), 3),
            ["bytesPerRequest"] = Format.Round(bytes.Max(), 2),
            ["bytesPerRequestWithToken"] = Format.Round(bytesWithToken.Max(), 2),
            ["callers"] = byCallers,
        });
    }

    /// <summary>The engine once more, where every caller could cancel.</summary>
    private static async Task<double> MeasureWithTokensAsync(int callers, double seconds)
    {
        await using var engine = await EngineBatcher.StartAsync(MaxBatch, callersWithToken: callers);
        await MeasureAsync(engine, callers, Math.Min(seconds, 1));
        var samples = new List<Sample>();
        for (var round = 0; round < 3; round++)
        {
            samples.Add(await MeasureAsync(engine, callers, seconds));
        }
        var bytes = Statistics.Median(samples.Select(s => s.BytesPerRequest));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{engine.Name,-22} {Statistics.Median(samples.Select(s => s.Rate)),12:N0} {bytes,15:N1}"));
        return bytes;
    }

    private static async Task<Sample> MeasureAsync(IBatcher batcher, int callers, double seconds)
    {
        var counts = new long[callers];
        var stop = new StrongBox();
        // The callers' own tasks are made before the count starts.
        var begin = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var loops = Enumerable.Range(0, callers).Select(i => CallAsync(batcher, begin.Task, stop, counts, i)).ToArray();
        GC.Collect();
        var bytes = GC.GetTotalAllocatedBytes(precise: true);
        var start = Stopwatch.GetTimestamp();
        begin.SetResult();
        await Task.Delay(TimeSpan.FromSeconds(seconds));
        stop.Stop = true;
        await Task.WhenAll(loops);
        var elapsed = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var requests = counts.Sum();
        return new Sample(requests / elapsed, (GC.GetTotalAllocatedBytes(precise: true) - bytes) / (double)requests);
    }

    private static async Task CallAsync(IBatcher batcher, Task begin, StrongBox stop, long[] counts, int caller)
    {
        await begin;
        var done = 0L;
        while (!stop.Stop)
        {
            if (await batcher.InferAsync(caller) != caller)
            {
                throw new InvalidOperationException($"{batcher.Name} answered somebody else's request.");
            }
            done++;
        }
        counts[caller] = done;
    }

    private readonly record struct Sample(double Rate, double BytesPerRequest);

    private sealed class StrongBox
    {
        public volatile bool Stop;
    }
}
