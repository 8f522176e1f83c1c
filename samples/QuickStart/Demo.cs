using System.Text.Json;
using MArk.Serving.Tensors;
using MArk.Serving;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.OnnxRuntime;
using MArk.Serving.Profiling;
using MArk.Serving.Simulation;
using MArk.Serving.Spillover;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace QuickStart;

internal static class Demo
{
    private const string Model = "digits";
    private static readonly JsonSerializerOptions Camel = new(JsonSerializerDefaults.Web);

    public static async Task RunAsync(DemoOptions options, CancellationToken cancellationToken)
    {
        var path = options.ModelFile ?? Workload.Asset("digits.onnx");
        var shape = options.TraceFile is { } file ? ArrivalTrace.Load(file) : Workload.Day();
        var (setup, inputs) = await MeasureAsync(path, options, cancellationToken);
        if (setup.Capacity == 0)
        {
            throw new ServingException($"One request takes {setup.Device.High(1).TotalMilliseconds:0.0} ms on this machine: the objective of {setup.Slo.TotalMilliseconds} ms cannot be kept. Accepted is a larger --slo-ms.");
        }
        var arrivals = shape.Reshape(options.Duration, slots: 160, setup.PeakRate).Arrivals(options.Seed).ToList();
        Introduce(setup, arrivals.Count);

        // This is all a host writes. On a cloud, UseLocalInstances and UseLocalSpillover are other calls, and the rest stays.
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders().AddConsole(o => o.LogToStandardErrorThreshold = LogLevel.Trace).SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddMArkServing().AddModel<float[], float[]>(Model, m => m
            .UseOnnx(path)
            .WithSlo(setup.Slo, serviceLevel: 0.99)
            .WithProfile(setup.LocalOffering.Name, setup.Measured)
            .UseLocalInstances(setup.LocalOffering)
            .UseLocalSpillover(new LocalSpilloverOptions
            {
                MaxConcurrency = Setup.SpillConcurrency,
                PricePerRequest = setup.SpillPrice,
                DeviceTimeScale = setup.DeviceTimeScale,
            })
            .WithOptions(o =>
            {
                o.MaxBatchSize = Setup.MaxBatchSize;
                o.Fleet = setup.Fleet(setup.LocalOffering.MaxInstances);
            }));
        using var host = builder.Build();
        await host.StartAsync(cancellationToken);

        var monitor = host.Services.GetRequiredKeyedService<IModelMonitor>(Model);
        var replay = new Replay(host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>(Model), inputs);
        var view = new LiveView();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var showing = view.ShowAsync(monitor.WatchAsync(TimeSpan.FromMilliseconds(500), over.Token));
        await replay.RunAsync(arrivals, cancellationToken);
        await over.CancelAsync();
        await showing;

        var served = monitor.GetProfiles()[setup.LocalOffering.Name];
        await host.StopAsync(cancellationToken);
        Summarize(setup, view, replay, monitor.GetReport(), new Comparison(setup, arrivals, WithoutPauses(served)));
    }

    /// <summary>A pause of this machine, while it was measured or served, would be one of seconds in the time of the device that it stands in for.</summary>
    private static LatencyProfile WithoutPauses(LatencyProfile measured) =>
        new([.. measured.Points.Select(p => p with { High = p.High < 2 * p.Mean ? p.High : 2 * p.Mean })]);

    /// <summary>How long a batch takes here, undisturbed; and what to ask: the held-out digits, if the model takes them.</summary>
    private static async Task<(Setup Setup, (float[] Image, int Label)[] Inputs)> MeasureAsync(string path, DemoOptions options, CancellationToken cancellationToken)
    {
        var factory = new OnnxBatchRunnerFactory<float[], float[]>(new OnnxRunnerOptions { Path = path }, new SingleTensorCodec<float, float>());
        await factory.InitializeAsync(cancellationToken);
        factory.TryCreateSample(out var sample);
        await using var runner = await factory.ConnectAsync(
            new InstanceDescriptor { Id = "measured", LaunchId = "measured", OfferingName = "measured", State = InstanceState.Running, Threads = 1 }, cancellationToken);
        var measured = await BatchProfiler.MeasureAsync(runner, sample!, Math.Min(Setup.MaxBatchSize, runner.MaxBatchSize), TimeProvider.System, cancellationToken);
        return (
            new Setup { Slo = options.Slo, Duration = options.Duration, Measured = WithoutPauses(measured) },
            options.ModelFile is null ? Workload.Digits() : [(sample!, -1)]);
    }

    private static void Introduce(Setup setup, int requests)
    {
        var device = setup.Device;
        Console.WriteLine($"A day in {setup.Duration.TotalSeconds:0} s: {requests} requests, at most {setup.PeakRate:0}/s; objective {setup.Slo.TotalMilliseconds:0} ms for 99 %.");
        Console.WriteLine(setup.DeviceTimeScale > 1
            ? $"Instances stand in for devices {setup.DeviceTimeScale:0} times slower than this machine: 1 request takes {device.Mean(1).TotalMilliseconds:0.0} ms, {device.MaxBatchSize} take {device.Mean(device.MaxBatchSize).TotalMilliseconds:0.0} ms; one sustains {setup.Capacity:0}/s and takes {setup.LocalOffering.LaunchDelay.TotalSeconds:0.#} s to launch."
            : $"Instances are this machine's own cores: 1 request takes {device.Mean(1).TotalMilliseconds:0.0} ms; one sustains {setup.Capacity:0}/s.");
        Console.WriteLine("Below, fleet is instances that serve + instances on their way; expect is the peak forecast for the next moment; SLO %, spilled, refused and dollars are since the start.");
        Console.WriteLine($"Dollars are those of the day: a second is billed as {TimeSpan.FromSeconds(setup.DaySecondsPerSecond).TotalMinutes:0} minutes, a spilled request as {setup.DaySecondsPerSecond:0}.");
        Console.WriteLine();
    }

    private static void Summarize(Setup setup, LiveView view, Replay replay, ModelReport report, Comparison comparison)
    {
        var asServed = comparison.AsServed();
        var noBatching = comparison.WithoutBatching();
        var (peakFleet, peakInstances) = comparison.PeakFleet();
        Console.WriteLine();
        Console.WriteLine($"Served {report.Succeeded} of {report.Offered} requests, {report.SloAttainment:P2} within {setup.Slo.TotalMilliseconds:0} ms; p50 {report.P50.TotalMilliseconds:0.0} ms, p99 {report.P99.TotalMilliseconds:0.0} ms; {report.Spilled} spilled, {report.Rejected} rejected."
            + (replay.Accuracy is { } accuracy ? $" {accuracy:P1} of the answers were right." : ""));
        Console.WriteLine($"At the peak {view.PeakInstances} instances took batches of {view.MeanBatchAtPeak:0.0}; {report.Cost.Launched} were launched, {report.Cost.Terminated} ended.");
        Console.WriteLine();
        Console.WriteLine("The same arrivals                                  dollars   within the objective   at most");
        Row("as served, live", report.Cost.Total, report.SloAttainment, view.PeakInstances);
        Row("as served, simulated", asServed.TotalCost, asServed.SloAttainment, asServed.PeakInstances);
        Row("without batching, simulated", noBatching.TotalCost, noBatching.SloAttainment, noBatching.PeakInstances);
        Row("a fixed fleet for the peak, simulated", peakFleet.TotalCost, peakFleet.SloAttainment, peakInstances);
        Console.WriteLine();
        Console.WriteLine("RESULT " + JsonSerializer.Serialize(
            new
            {
                requests = report.Offered,
                accuracy = Round(replay.Accuracy),
                sloAttainment = Round(report.SloAttainment),
                p50Ms = Math.Round(report.P50.TotalMilliseconds, 2),
                p99Ms = Math.Round(report.P99.TotalMilliseconds, 2),
                meanBatchAtPeak = Math.Round(view.MeanBatchAtPeak, 2),
                peakInstances = view.PeakInstances,
                spilled = report.Spilled,
                rejected = report.Rejected,
                launched = report.Cost.Launched,
                terminated = report.Cost.Terminated,
                costUsd = Math.Round(report.Cost.Total, 2),
                costSimulatedUsd = Math.Round(asServed.TotalCost, 2),
                costNoBatchingUsd = Math.Round(noBatching.TotalCost, 2),
                costPeakFleetUsd = Math.Round(peakFleet.TotalCost, 2),
                deviceTimeScale = Math.Round(setup.DeviceTimeScale, 1),
            },
            Camel));

        static double? Round(double? share) => share is { } s ? Math.Round(s, 5) : null;

        static void Row(string what, decimal dollars, double attainment, int instances) =>
            Console.WriteLine($"  {what,-45} {dollars,10:0.00} {attainment,22:P2} {instances,9}");
    }
}
