using MArk.Serving.Simulation.Reporting;

namespace MArk.Serving.Simulation.Tests.Reporting;

/// <summary>Studies made by hand.</summary>
internal static class StudyInputs
{
    public static readonly string[] Offerings = ["c5.large", "p2.xlarge (spot)"];

    public static StudyReport Report(params IReadOnlyList<PolicyOutcome> policies) => new()
    {
        Title = "A made-up day",
        Description = "A sine wave about 500 requests/s, scale 1, model linear-5-0.5, prices of 2019.\n\nCostStudy --trace sine.csv --scale 1 --seed 7",
        Slo = TimeSpan.FromMilliseconds(50),
        ServiceLevel = 0.99,
        Policies = policies,
        Bound = new StudyBound(10.5m, 11.25m),
    };

    public static StudyReport Day() => Report(
        new PolicyOutcome("Default (mean + band)", "Plans an hour ahead.\nKeeps 10 % in hand.", Result(1.1, 0.9962, spilled: 0.004)),
        new PolicyOutcome("SageMaker target tracking", "Keeps 70 % of the peak per instance.", Result(1.4, 0.9925, spilled: 0, seed: 2)),
        new PolicyOutcome("Static peak", "", Result(2.0, 0.99991, spilled: 0, isStatic: true, seed: 3)),
        new PolicyOutcome("HPA", "Reacts to the mean concurrency.", Result(0.95, 0.9871, spilled: 0, seed: 4, hasForecast: false)));

    public static SimulationResult Result(
        double headroom = 1.1, double attainment = 0.995, double spilled = 0.01, int steps = 1440, bool isStatic = false, bool hasForecast = true, int seed = 1)
    {
        var random = new Random(seed);
        var history = new List<SimulationStep>();
        var (instances, spillover, requests) = (0m, 0m, 0L);
        for (var i = 0; i < steps; i++)
        {
            var expected = 500 + 400 * Math.Sin(2 * Math.PI * i / 1440.0) + (i is > 800 and < 830 ? 350 : 0);
            var rate = expected * (1 + 0.08 * (random.NextDouble() - 0.5));
            var need = isStatic ? 950 * headroom : (500 + 400 * Math.Sin(2 * Math.PI * (i + 10) / 1440.0)) * headroom;
            var large = Math.Ceiling(Math.Min(need, 600) / 60);
            var gpu = i is > 400 and < 460 ? 0 : Math.Ceiling(Math.Max(0, need - 600) / 200);
            var arrivals = (long)(rate * 60);
            requests += arrivals;
            instances += (decimal)(large * 0.085 + gpu * 0.27) / 60;
            spillover += (decimal)(arrivals * spilled * 2e-5);
            history.Add(new SimulationStep
            {
                Start = TimeSpan.FromMinutes(i),
                Length = TimeSpan.FromMinutes(1),
                Arrivals = arrivals,
                InTime = (long)(arrivals * attainment),
                Spilled = (long)(arrivals * spilled),
                Serving = [large, gpu],
                Capacity = [large * 60, gpu * 200],
                Forecast = hasForecast && i >= 5 ? new ForecastBand(expected * 0.9, expected, expected * 1.15) : null,
                InstanceCost = instances,
                SpilloverCost = spillover,
            });
        }
        return new SimulationResult
        {
            Requests = requests,
            InTime = (long)(requests * attainment),
            Rejected = (long)(requests * (1 - attainment) / 4),
            ColdStarts = seed,
            Spilled = (long)(requests * spilled),
            Batches = requests / 8,
            MeanBatch = 8,
            P50 = TimeSpan.FromMilliseconds(18.3),
            P99 = TimeSpan.FromMilliseconds(attainment >= 0.99 ? 46.2 : 61.7),
            P999 = TimeSpan.FromMilliseconds(88.125),
            LatencyTail = Tail(1 - attainment),
            Offerings = Offerings,
            History = history,
            PeakInstances = 14,
            Launched = 31 + seed,
            Interruptions = seed,
            Resumptions = 0,
            Duration = TimeSpan.FromMinutes(steps),
            InstanceCost = instances,
            SpilloverCost = spillover,
        };
    }

    /// <summary>A tail that falls by powers so that a given share is above 50 ms.</summary>
    public static IReadOnlyList<LatencyTailPoint> Tail(double above50)
    {
        var points = new List<LatencyTailPoint>();
        var slope = Math.Log(above50) / Math.Log(50 / 8.0);
        for (var ms = 8.0; ms < 900; ms *= 1.08)
        {
            points.Add(new LatencyTailPoint(TimeSpan.FromMilliseconds(ms), Math.Pow(ms / 8, slope)));
        }
        points.Add(new LatencyTailPoint(TimeSpan.FromMilliseconds(905), 0));
        return points;
    }
}

/// <summary>A folder for one test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("mark-study-").FullName;

    public string In(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
