using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Benchmarks.Planning;

/// <summary>
/// How far the planner's schedules are from the cheapest there are, and how long it takes: random problems against the exact integer optimum, and large ones against a bound below
/// which no schedule costs. All is one open-loop problem: price, launch overhead, and the price of spillover times E[(D - C n)+] over the forecast's nine points.
/// </summary>
internal static class PlanBenchmark
{
    private const int WarmRuns = 101;

    public static Task<int> RunAsync(string[] args)
    {
        Option[] options = [Option.Integer("--problems", 1000, 1, 100_000, quick: 20), Option.Integer("--large", 10, 1, 1000, quick: 1), Option.Integer("--seed", 1, 1, 1_000_000)];
        return Task.FromResult(Arguments.Parse(args, options) is { } arguments ? Run(arguments) : 2);
    }

    private static int Run(Arguments arguments)
    {
        var seed = arguments.Integer("--seed");
        Console.WriteLine($"{Format.Machine()}\n{arguments.Integer("--problems")} small problems, {arguments.Integer("--large")} large ones; seed {seed}");
        var small = Small(arguments.Integer("--problems"), seed);
        var large = Large(arguments.Integer("--large"), seed, arguments.Quick ? 5 : WarmRuns);
        foreach (var (name, value) in large)
        {
            small[name] = value?.DeepClone();
        }
        return arguments.Finish(small);
    }

    private static JsonObject Small(int count, int seed)
    {
        var planner = new CostOptimalPlanner();
        var (ours, greedy, greedyAtBest) = (new List<double>(), new List<double>(), new List<double>());
        for (var i = 0; i < count; i++)
        {
            var rating = new PlanRating(PlanCase.Small(seed * 1_000_000 + i));
            var optimum = FleetOptimum.OfWholeInstances(rating.Problem);
            ours.Add(rating.CostOf(planner) / optimum);
            var (atPeak, atBest) = rating.CostOfGreedy();
            greedy.Add(atPeak / optimum);
            greedyAtBest.Add(atBest / optimum);
            if (ours[^1] < 1 - 1e-4)
            {
                throw new InvalidOperationException($"Problem {i} costs less than its optimum: the two do not state the same problem.");
            }
        }
        Console.WriteLine("\ncost over the integer optimum                 mean     p99   worst");
        var best = Row("CostOptimalPlanner", ours);
        var peak = Row("GreedyPlanner, the highest point covered", greedy);
        Row("GreedyPlanner, at each problem's best point", greedyAtBest);
        return new JsonObject
        {
            ["meanRatio"] = Format.Round(best.Mean),
            ["p99Ratio"] = Format.Round(best.P99),
            ["worstRatio"] = Format.Round(best.Worst),
            ["greedyMeanRatio"] = Format.Round(peak.Mean),
            ["greedyWorstRatio"] = Format.Round(peak.Worst),
            ["greedyAtBestPointMeanRatio"] = Format.Round(greedyAtBest.Average()),
            ["greedyAtBestPointWorstRatio"] = Format.Round(greedyAtBest.Max()),
        };
    }

    private static JsonObject Large(int count, int seed, int runs)
    {
        var planner = new CostOptimalPlanner();
        Console.WriteLine("\n40 types x 500 running x 60 steps             over LP bound   median ms   highest ms");
        var (ratios, medians) = (new List<double>(), new List<double>());
        for (var i = 0; i < count; i++)
        {
            var rating = new PlanRating(PlanCase.Large(seed * 1_000_000 + i));
            ratios.Add(rating.CostOf(planner) / FleetOptimum.LowerBound(rating.Problem));
            var times = Enumerable.Range(0, 2 * runs).Select(_ => TimeOf(planner, rating)).Skip(runs).ToArray();
            medians.Add(Statistics.Median(times));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"problem {i,-37} {ratios[^1],13:0.0000} {medians[^1],11:0.00} {times.Max(),12:0.00}"));
        }
        return new JsonObject
        {
            ["planMs"] = Format.Round(Statistics.Median(medians), 2),
            ["highestPlanMs"] = Format.Round(medians.Max(), 2),
            ["largeOverLpBound"] = Format.Round(ratios.Average()),
            ["worstLargeOverLpBound"] = Format.Round(ratios.Max()),
        };
    }

    private static double TimeOf(IProvisioningPlanner planner, PlanRating rating)
    {
        var began = Stopwatch.GetTimestamp();
        rating.Plan(planner);
        return Stopwatch.GetElapsedTime(began).TotalMilliseconds;
    }

    private static (double Mean, double P99, double Worst) Row(string name, List<double> ratios)
    {
        var sorted = ratios.Order().ToArray();
        var p99 = sorted[Math.Clamp((int)Math.Ceiling(0.99 * sorted.Length) - 1, 0, sorted.Length - 1)];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-43} {ratios.Average(),7:0.0000} {p99,7:0.0000} {sorted[^1],7:0.0000}"));
        return (ratios.Average(), p99, sorted[^1]);
    }
}
