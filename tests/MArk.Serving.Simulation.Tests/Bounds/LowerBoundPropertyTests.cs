using CsCheck;
using MArk.Serving.Batching;
using static MArk.Serving.Simulation.Tests.BoundReference;

namespace MArk.Serving.Simulation.Tests;

public sealed class LowerBoundPropertyTests
{
    // What solvers may be inexact by.
    private const double Inexact = 1e-5;

    private static readonly Gen<BoundOffering[]> GenOfferings = Gen.Select(
            Gen.Double[0.2, 4], Gen.Double[0.6, 1.6], Gen.Int[0, 150], Gen.Int[0, 280], Gen.Int[1, 2])
        .Select(o => new BoundOffering("", Math.Round((decimal)(60 * o.Item1 * o.Item2), 3), o.Item1 / 6, TimeSpan.FromSeconds(o.Item3), TimeSpan.FromSeconds(o.Item4), o.Item5))
        .Array[1, 2]
        .Select(all => all.Select((o, i) => o with { Name = $"o{i}" }).ToArray());

    private static readonly Gen<LowerBoundProblem> GenProblem = Gen.Select(
            Gen.Frequency((1, Gen.Const(0.0)), (3, Gen.Double[0, 60].Select(r => Math.Round(r, 3)))).Array[1, 4], GenOfferings, Gen.OneOf(1.0, 0.95, 0.8, 0.5), Gen.Double[0.02, 1], Gen.Bool, Gen.Int[0, 2])
        .Select(p => Problem(p.Item1, p.Item3, p.Item2) with
        {
            SpilloverPricePerRequest = p.Item5 ? Math.Round((decimal)p.Item4, 4) : null,
            Initial = p.Item6 == 0 ? null : [.. p.Item2.Select(o => Math.Min(o.MaxInstances, p.Item6 - 1))],
        });

    [Fact]
    public void TheBoundsEncloseTheOptimumOfAllSchedules() => GenProblem.Sample(problem =>
    {
        var least = Least(problem);
        if (double.IsPositiveInfinity(least))
        {
            Assert.Throws<LowerBoundProblemException>(() => Solve(problem));
            return;
        }
        var result = Solve(problem);
        Assert.True(result.Fractional <= result.Integer && result.Integer <= result.BestFound);
        Assert.InRange((double)result.Integer, 0, least * (1 + Inexact));
        Assert.InRange((double)result.BestFound, least * (1 - Inexact), least * (1 + 2e-4));
        Assert.InRange(result.Gap, 0, 1.01e-4);
        Assert.Equal(Cost(problem, result), (double)result.BestFound, least * Inexact + 1e-9);
    }, iter: 400);

    /// <summary>Each way to the bound alone: both need not be used where the other is near enough.</summary>
    [Fact]
    public void EachWayGivesABoundOfAllSchedules() => GenProblem.Where(p => p.Requests.Sum() > 0 && double.IsFinite(Least(p))).Sample(problem =>
    {
        var least = Least(problem);
        var whole = BoundModel.Of(problem).WithoutDominated(isWhole: true);
        var divisible = BoundModel.Of(problem).WithoutDominated(isWhole: false);
        var (priced, schedules) = MissPricing.Solve(whole, CountRecursion.Of(whole)!, 0, default);
        Assert.True(priced <= least * (1 + Inexact) + 1e-9, $"{priced} is above {least}: {string.Join(' ', problem.Requests)}; {string.Join(' ', problem.Offerings.Select(o => o.ToString()))}");
        Assert.All(schedules, counts => Assert.True(BoundSchedule.Of(problem, BoundModel.Of(problem), whole.Types, counts)?.Trimmed().Cost is not { } cost || (double)cost >= least * (1 - Inexact)));
        var nothing = Array.ConvertAll(whole.Types, _ => new int[whole.Steps]);
        Assert.Equal(least, BoundProgram.SolveWhole(whole, nothing, 0, Minute, default).Bound, least * Inexact + 1e-9);
        Assert.InRange(BoundProgram.SolveFractional(divisible, default).Bound, 0, least * (1 + Inexact));
    }, iter: 200);

    private static readonly Gen<LowerBoundProblem> GenDay = Gen.Select(Gen.Int[5, 40], Gen.Double[20, 200], Gen.Int[0, 1000], GenOfferings, Gen.OneOf(1.0, 0.98, 0.9))
        .Select((steps, peak, seed, offerings, level) => Problem(Day(steps, peak, seed), level, [.. offerings.Select(o => o with { MaxInstances = 1000 })]));

    [Fact]
    public void NoScheduleOfOneKindThatFollowsTheDemandIsCheaper() => GenDay.Sample(problem =>
    {
        var result = SolveSoon(problem);
        for (var i = 0; i < problem.Offerings.Count; i++)
        {
            var greedy = Cost(problem, (k, t) => k == i ? (int)Math.Ceiling(problem.Requests[t] / (60 * problem.Offerings[i].Throughput) - 1e-9) : 0);
            var flat = Cost(problem, (k, _) => k == i ? (int)Math.Ceiling(problem.Requests.Max() / (60 * problem.Offerings[i].Throughput) - 1e-9) : 0);
            Assert.True((double)result.Integer <= Math.Min(greedy, flat) * (1 + Inexact));
        }
    }, iter: 12);

    [Fact]
    public void MoreOfTheSameDemandCostsNoLess() => Gen.Select(GenDay, Gen.Double[1, 2]).Sample((problem, factor) =>
    {
        var less = SolveSoon(problem);
        var more = SolveSoon(problem with { Requests = [.. problem.Requests.Select(r => factor * r)] });
        Assert.True(less.Fractional <= more.Fractional * (1 + (decimal)Inexact));
        Assert.True(less.Integer <= more.BestFound * (1 + (decimal)Inexact));
    }, iter: 12);

    [Fact]
    public void MoreRequestsInAStepCostNoLessWhereAllAreServed() => Gen.Select(GenDay, Gen.Int[0, 4], Gen.Double[0, 100]).Sample((day, step, more) =>
    {
        var problem = day with { ServiceLevel = 1 };
        var fuller = problem with { Requests = [.. problem.Requests.Select((r, t) => t == step ? r + more : r)] };
        var (less, most) = (SolveSoon(problem), SolveSoon(fuller));
        Assert.True(less.Fractional <= most.Fractional * (1 + (decimal)Inexact));
        Assert.True(less.Integer <= most.BestFound * (1 + (decimal)Inexact));
    }, iter: 12);

    [Fact]
    public void ALowerServiceLevelOrSpilloverCostsNoMore() => GenDay.Sample(problem =>
    {
        var strict = SolveSoon(problem with { ServiceLevel = 1 });
        foreach (var easier in new[] { problem with { ServiceLevel = 0.9 }, problem with { ServiceLevel = 1, SpilloverPricePerRequest = 0.2m } })
        {
            var result = SolveSoon(easier);
            Assert.True(result.Fractional <= strict.Fractional * (1 + (decimal)Inexact));
            Assert.True(result.Integer <= strict.BestFound * (1 + (decimal)Inexact));
        }
    }, iter: 12);

    [Fact]
    public void ABoundThatIsStoppedIsStillOne()
    {
        var problem = Problem(Day(200, 900, 1), 0.98, Offering("small", 5, 20, 1), Offering("large", 60, 290, 1, 7), Offering("middle", 24, 109, 1, 10));
        var best = LowerBound.Solve(problem, TimeSpan.FromSeconds(5));
        var stopped = LowerBound.Solve(problem, TimeSpan.FromTicks(1));
        Assert.True(stopped.Fractional > 0);
        Assert.Equal(best.Fractional, stopped.Fractional);
        Assert.True(stopped.Integer >= stopped.Fractional);
        Assert.True(stopped.Integer <= best.BestFound && best.Integer <= stopped.BestFound);
        Assert.Equal(Cost(problem, stopped), (double)stopped.BestFound, 1e-6);
    }

    [Fact]
    public void TheSameProblemHasTheSameSolution()
    {
        var problem = Problem(Day(300, 900, 2), 0.98, Offering("small", 5, 20, 1), Offering("large", 60, 290, 1));
        var (first, second) = (Solve(problem), Solve(problem));
        Assert.Equal((first.Fractional, first.Integer, first.BestFound), (second.Fractional, second.Integer, second.BestFound));
        Assert.Equal(first.Schedule.Select(counts => counts.ToArray()), second.Schedule.Select(counts => counts.ToArray()));
    }

    /// <summary>A fixed fleet that keeps the objective in the simulator costs no less than the bound of the very arrivals that it served.</summary>
    [Theory]
    [InlineData(2, 40, 0)]
    [InlineData(3, 90, 3)]
    public void ASimulatedFleetIsNoCheaper(int instances, double rate, int initial)
    {
        var profile = LatencyProfile.Linear(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(20), 8);
        var slo = TimeSpan.FromMilliseconds(400);
        var trace = new ArrivalTrace(Minute, [.. Enumerable.Range(0, 20).Select(t => 60 * rate * (0.6 + 0.4 * Math.Sin(t)))]);
        var arrivals = trace.Arrivals(seed: 5).ToList();
        var offering = new InstanceOffering { Name = "o", PricePerHour = 1.2m, MinimumBilling = Minute };
        var simulated = ServingSimulator.Run(
            new SimulationSettings
            {
                Slo = slo,
                CreatePolicy = _ => new SloAwareBatchPolicy(),
                Fleet = [.. Enumerable.Repeat(new SimulatedInstance(offering, profile), instances)],
                Duration = trace.Duration,
            },
            arrivals);
        Assert.True(simulated.SloAttainment >= 0.98, $"{simulated.SloAttainment} within the objective");
        var perStep = new double[trace.Counts.Count];
        arrivals.ForEach(a => perStep[(int)(a / Minute)]++);
        var bound = Solve(Problem(perStep, 0.98, new BoundOffering("o", 1.2m, LowerBound.RawThroughput(profile, slo, 32), TimeSpan.Zero, Minute)) with { Initial = [initial] });
        Assert.True(bound.Integer <= simulated.TotalCost);
        Assert.True(bound.Fractional < bound.Integer);
    }
}
