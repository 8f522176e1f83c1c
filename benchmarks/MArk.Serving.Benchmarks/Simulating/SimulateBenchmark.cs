using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Batching;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;
using MArk.Serving.Simulation;

namespace MArk.Serving.Benchmarks.Simulating;

/// <summary>
/// How quickly a day is simulated, request by request, with everything that serves by default: batch policy, predictor, planner, controller and spillover. Each length is
/// simulated in a process of its own, so that its memory is its own.
/// </summary>
internal static class SimulateBenchmark
{
    private const string Alone = "--alone";
    private const double MeanRate = 500;

    public static async Task<int> RunAsync(string[] args)
    {
        Option[] options = [Option.Number("--hours", 24, 0.01, 24 * 31, quick: 0.2), Option.Integer("--runs", 3, 1, 100, quick: 1), Option.Optional(Alone, "SHARE (one process's part)")];
        if (Arguments.Parse(args, options) is not { } arguments)
        {
            return 2;
        }
        var hours = arguments.Number("--hours");
        if (arguments.Text(Alone) is { Length: > 0 } share)
        {
            Console.WriteLine(Simulate(hours, double.Parse(share, CultureInfo.InvariantCulture)).ToJsonString());
            return 0;
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Format.Machine()}\na diurnal mean of {MeanRate} requests/s; medians of {arguments.Integer("--runs")} runs, each in a process of its own\n"));
        Console.WriteLine("    hours      requests   seconds   of them forecast and plan   requests/s outside   peak memory MiB   within the objective   peak instances");
        var whole = await MedianAsync(hours, 1, arguments.Integer("--runs"));
        var part = await MedianAsync(hours, 1.0 / 24, arguments.Integer("--runs"));
        return arguments.Finish(new JsonObject
        {
            ["requestsPerSecond"] = Math.Round(whole.Rate),
            ["timeRatio24hOver1h"] = Format.Round(whole.Seconds / part.Seconds, 2),
            ["requestRatio24hOver1h"] = Format.Round(whole.Requests / part.Requests, 2),
            ["peakMemoryRatio24hOver1h"] = Format.Round(whole.Memory / part.Memory, 3),
            ["forecastAndPlanSeconds"] = Format.Round(whole.Planning, 2),
        });
    }

    private static async Task<Measured> MedianAsync(double hours, double share, int runs)
    {
        var measured = new List<Measured>();
        for (var run = 0; run < runs; run++)
        {
            measured.Add(await InProcessAsync(hours, share));
        }
        var median = new Measured(
            Statistics.Median(measured.Select(m => m.Requests)), Statistics.Median(measured.Select(m => m.Seconds)), Statistics.Median(measured.Select(m => m.Planning)),
            Statistics.Median(measured.Select(m => m.Rate)), Statistics.Median(measured.Select(m => m.Memory)), measured[0].InTime, measured[0].Peak);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{hours * share,9:N2} {median.Requests,13:N0} {median.Seconds,9:N2} {median.Planning,27:N2} {median.Rate,20:N0} {median.Memory / 1048576,17:N1} {median.InTime,22:P2} {median.Peak,16:N0}"));
        return median;
    }

    private static async Task<Measured> InProcessAsync(double hours, double share)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(start.FileName) == "dotnet")
        {
            start.ArgumentList.Add(Environment.GetCommandLineArgs()[0]);
        }
        foreach (var argument in new[] { "simulate", "--hours", hours.ToString(CultureInfo.InvariantCulture), Alone, share.ToString(CultureInfo.InvariantCulture) })
        {
            start.ArgumentList.Add(argument);
        }
        using var process = Process.Start(start)!;
        var line = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 && JsonNode.Parse(line) is JsonObject json
            ? new Measured(Of("requests"), Of("seconds"), Of("planning"), Of("rate"), Of("memory"), Of("inTime"), Of("peak"))
            : throw new InvalidOperationException($"The process that simulates {hours * share} hours ended with {process.ExitCode} and said '{line}'.");

        double Of(string name) => json[name]!.GetValue<double>();
    }

    /// <summary>The whole trace, or the first part of it at the same mean rate: a day's shape in a shorter time.</summary>
    private static JsonObject Simulate(double hours, double share)
    {
        // What is called often is compiled before it is measured.
        Run(TimeSpan.FromMinutes(5), new Stopwatch());
        var planning = new Stopwatch();
        var all = Stopwatch.StartNew();
        var result = Run(TimeSpan.FromHours(hours * share), planning);
        all.Stop();
        using var process = Process.GetCurrentProcess();
        return new JsonObject
        {
            ["requests"] = (double)result.Requests,
            ["seconds"] = all.Elapsed.TotalSeconds,
            ["planning"] = planning.Elapsed.TotalSeconds,
            ["rate"] = result.Requests / (all.Elapsed - planning.Elapsed).TotalSeconds,
            ["memory"] = (double)process.PeakWorkingSet64,
            ["inTime"] = result.SloAttainment,
            ["peak"] = (double)result.PeakInstances,
        };
    }

    private static SimulationResult Run(TimeSpan duration, Stopwatch planning)
    {
        var slo = TimeSpan.FromMilliseconds(100);
        var day = Workloads.Diurnal(TimeSpan.FromDays(1), MeanRate, peakOverValley: 4, noise: 0.05, seed: 1);
        var trace = duration == day.Duration ? day : day.Reshape(duration, Math.Max(1, (int)duration.TotalSeconds), day.PeakRate);
        return ServingSimulator.Run(
            new SimulationSettings
            {
                Slo = slo,
                CreatePolicy = _ => new SloAwareBatchPolicy(),
                Duration = duration,
                LatencyNoise = 0.05,
                Seed = 1,
                Spillover = new SimulatedSpillover(TimeSpan.FromMilliseconds(60), 0.00002m, 1000) { ColdLatency = TimeSpan.FromSeconds(4) },
                Scaling = new SimulatedScaling
                {
                    Offerings =
                    [
                        Kind("small", 0.17m, LatencyProfile.Linear(TimeSpan.FromMilliseconds(8), TimeSpan.FromMilliseconds(8), 8)),
                        Kind("large", 0.526m, LatencyProfile.Linear(TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(1), 32)),
                    ],
                    CreatePredictor = () => new TimedPredictor(new AutoPredictor(), planning),
                    CreatePlanner = () => new TimedPlanner(new CostOptimalPlanner(), planning),
                },
            },
            trace.Arrivals(seed: 1));
    }

    private static SimulatedInstance Kind(string name, decimal price, LatencyProfile profile) =>
        new(new InstanceOffering { Name = name, PricePerHour = price, LaunchDelay = TimeSpan.FromSeconds(100), MinimumBilling = TimeSpan.FromSeconds(60) }, profile);

    private readonly record struct Measured(double Requests, double Seconds, double Planning, double Rate, double Memory, double InTime, double Peak);

    private sealed class TimedPredictor(IWorkloadPredictor inner, Stopwatch clock) : IWorkloadPredictor
    {
        public void Observe(in ArrivalSample sample)
        {
            clock.Start();
            inner.Observe(sample);
            clock.Stop();
        }

        public void Forecast(WorkloadForecast forecast)
        {
            clock.Start();
            inner.Forecast(forecast);
            clock.Stop();
        }
    }

    private sealed class TimedPlanner(IProvisioningPlanner inner, Stopwatch clock) : IProvisioningPlanner
    {
        public void Plan(in ProvisioningContext context, FleetPlan plan)
        {
            clock.Start();
            inner.Plan(context, plan);
            clock.Stop();
        }
    }
}
