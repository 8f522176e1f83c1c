using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Benchmarks.Load;
using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Servers;
using MArk.Serving.OnnxRuntime;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.Benchmarks;

/// <summary>
/// What a request notices of hot reloads: the same arrivals at 0.8 of the raw capacity, once left alone, and once with the model reloaded
/// again and again. No request may fail; what the reloads add to the 99th percentile is reported.
/// </summary>
internal static class ReloadBenchmark
{
    private const double Load = 0.8;

    public static async Task<int> RunAsync(string[] args)
    {
        Option[] options = [.. OpenLoopBench.Options(seconds: 30, BenchmarkModel.Names), Option.Number("--every-s", 2, 0.01, 600, quick: 0.05)];
        if (Arguments.Parse(args, options) is not { } arguments)
        {
            return 2;
        }
        using var bench = OpenLoopBench.Start(arguments);
        var every = TimeSpan.FromSeconds(arguments.Number("--every-s"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"loads x R0: {Load}; seed 1; reloaded every {every.TotalSeconds} s"));
        await using var engine = (EngineServer)await bench.Servers.ServeLateAsync();
        var reloader = engine.Services.GetRequiredKeyedService<IModelReloader<float[], float[]>>(bench.Model.Name);
        await bench.WarmUpAsync(engine);
        var failed = 0;
        var run = await bench.MeasureSettledAsync(Load, seed: 1, async rate =>
        {
            var alone = await bench.ServeAsync(engine, rate, seed: 1);
            using var stop = new CancellationTokenSource();
            var reloads = ReloadAsync(() => reloader.ReloadOnnxAsync(bench.Model.Path, stop.Token), every, stop.Token);
            var reloaded = await bench.ServeAsync(engine, rate, seed: 1);
            await stop.CancelAsync();
            // Those of a run that is made again as well: a capacity that drifts is no excuse for them.
            failed += reloaded.RefusedInTheEnd;
            return (Alone: alone, Reloaded: reloaded, Reloads: await reloads);
        });
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"\n{run.Rate:N0} requests/s; capacity beside the generator {run.Capacity:N0}/s; drift {run.Drift:P1}{(run.Settled ? "" : "   VOID: the capacity never settled")}"));
        Console.WriteLine("                        within SLO     failed    p50 ms    p99 ms");
        Print("left alone", run.Value.Alone);
        Print($"{run.Value.Reloads} reloads", run.Value.Reloaded);
        Console.WriteLine($"\n{bench.Conditions()}");
        return arguments.Finish(new JsonObject
        {
            ["failed"] = failed,
            ["addedP99Ms"] = Format.Round(run.Value.Reloaded.P99Ms - run.Value.Alone.P99Ms, 2),
            ["reloads"] = run.Value.Reloads,
            ["sloShare"] = Format.Round(run.Value.Reloaded.Share),
            ["sloShareAlone"] = Format.Round(run.Value.Alone.Share),
            ["voided"] = run.Settled ? 0 : 1,
            ["stalledShare"] = Format.Round(bench.StalledShare),
        });
    }

    /// <summary>Reloads until told to stop; answers how often it did. A reload that fails ends the benchmark.</summary>
    private static async Task<int> ReloadAsync(Func<Task> reloadAsync, TimeSpan every, CancellationToken stop)
    {
        using var timer = new PeriodicTimer(every);
        var reloads = 0;
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
            {
                await reloadAsync();
                reloads++;
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The load is over.
        }
        return reloads;
    }

    private static void Print(string what, LoadResult result) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{what,-22} {result.Share,11:P2} {result.Refused,10:N0} {result.P50Ms,9:N1} {result.P99Ms,9:N1}"));
}
