using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Benchmarks.Load;
using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Servers;
using MArk.Serving.OpenInference;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.Benchmarks.Wire;

/// <summary>
/// The digits model on a worker process, in each form of the protocol, and in process: requests per second of callers in a closed loop, and the median latency of one caller alone. All take turns
/// within each round; figures are medians over the rounds. Then a client that is none of ours asks the worker itself.
/// </summary>
internal static class WireBenchmark
{
    private const int MaxBatch = 32;

    public static async Task<int> RunAsync(string[] args)
    {
        if (Arguments.Parse(args,
            Option.Integer("--rounds", 5, 1, 100, quick: 1),
            Option.Number("--seconds", 2, 0.05, 60, quick: 0.1),
            Option.Integer("--callers", 64, 1, 4096),
            Option.Number("--slo-ms", 50, 1, 60_000)) is not { } arguments)
        {
            return 2;
        }
        var (seconds, callers) = (arguments.Number("--seconds"), arguments.Integer("--callers"));
        var slo = TimeSpan.FromMilliseconds(arguments.Number("--slo-ms"));
        using var model = BenchmarkModel.Open("digits");
        Console.WriteLine(Format.Machine());
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{model.Name}, batches of up to {MaxBatch}, an objective of {slo.TotalMilliseconds} ms, one worker process of this machine; {arguments.Integer("--rounds")} rounds of {seconds} s with {callers} callers and {seconds} s with one"));
        await using var inProcess = await EngineServer.StartAsync(model, new EngineSettings { Name = "in process", Slo = slo, Instances = 1, MaxBatch = MaxBatch });
        await using var json = await WireServer.StartAsync(model, OpenInferenceForm.RestJson, MaxBatch, slo);
        await using var binary = await WireServer.StartAsync(model, OpenInferenceForm.RestBinary, MaxBatch, slo);
        await using var grpc = await WireServer.StartAsync(model, OpenInferenceForm.Grpc, MaxBatch, slo);
        IServer[] servers = [inProcess, json, binary, grpc];
        var many = new ClosedLoop(model, callers);
        var figures = servers.Select(_ => new List<Figures>()).ToArray();
        CopiedBytes.AreCounted = true;
        for (var round = 0; round < arguments.Integer("--rounds"); round++)
        {
            for (var i = 0; i < servers.Length; i++)
            {
                figures[i].Add(await MeasureAsync(servers[i], many, model, seconds));
            }
        }
        Console.WriteLine("\nserver         requests/s   over in process   bytes copied/request   p50 ms, one caller   added ms");
        var result = new JsonObject();
        var (baseRate, baseMs) = (Statistics.Median(figures[0].Select(f => f.Rate)), Statistics.Median(figures[0].Select(f => f.P50Ms)));
        for (var i = 0; i < servers.Length; i++)
        {
            var (rate, ms) = (Statistics.Median(figures[i].Select(f => f.Rate)), Statistics.Median(figures[i].Select(f => f.P50Ms)));
            // A round of the same machine state: the median of differences, not the difference of medians.
            var added = Statistics.Median(figures[i].Select((f, round) => f.P50Ms - figures[0][round].P50Ms));
            var copied = Statistics.Median(figures[i].Select(f => f.CopiedBytes));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{servers[i].Name,-14} {rate,10:N0} {rate / baseRate,17:N3} {copied,22:N0} {ms,20:N3} {added,10:N3}"));
            result[i == 0 ? "inProcess" : Format.Key(servers[i].Name)] = i == 0
                ? new JsonObject { ["requestsPerSecond"] = Math.Round(rate), ["p50Ms"] = Format.Round(ms) }
                : new JsonObject { ["requestsPerSecond"] = Math.Round(rate), ["addedP50Ms"] = Format.Round(added), ["copiedBytesPerRequest"] = Math.Round(copied) };
        }
        if (await OutsideClient.RunAsync(new Uri(binary.Endpoint, $"v2/models/{model.Name}/infer"), model, Math.Max(1, seconds)) is { } outside)
        {
            result["outside"] = outside;
        }
        return arguments.Finish(result);
    }

    private static async Task<Figures> MeasureAsync(IServer server, ClosedLoop many, BenchmarkModel model, double seconds)
    {
        var before = CopiedBytes.Total;
        var warmUp = Math.Min(0.5, seconds);
        var rate = await many.MeasureAsync(server, warmUp, seconds);
        // Of all requests of the loop, its warm-up among them, which are about as many a second.
        var copied = (CopiedBytes.Total - before) / (rate * (warmUp + seconds));
        return new Figures(rate, await AloneAsync(server, model, seconds), copied);
    }

    private static async Task<double> AloneAsync(IServer server, BenchmarkModel model, double seconds)
    {
        // What was asked before, by many, has the engine expect more for a while, and wait for it.
        var settled = seconds / 4;
        var latencies = new List<double>();
        for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds is var since && (since < settled + seconds || latencies.Count == 0);)
        {
            var asked = Stopwatch.GetTimestamp();
            _ = (await server.TryInferAsync(model.Inputs[latencies.Count % model.Inputs.Length])).Value;
            if (since > settled)
            {
                latencies.Add(Stopwatch.GetElapsedTime(asked).TotalMilliseconds);
            }
        }
        return Statistics.Median(latencies);
    }

    /// <param name="Rate">Requests per second of many callers.</param>
    /// <param name="P50Ms">Median latency of one caller alone.</param>
    /// <param name="CopiedBytes">Bytes that this side copied, a request.</param>
    private readonly record struct Figures(double Rate, double P50Ms, double CopiedBytes);
}
