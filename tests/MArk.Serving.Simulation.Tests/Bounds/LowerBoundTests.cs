using static MArk.Serving.Simulation.Tests.BoundReference;

namespace MArk.Serving.Simulation.Tests;

/// <summary>Cases that are computed by hand. A machine of 60 dollars an hour costs a dollar a minute.</summary>
public sealed class LowerBoundTests
{
    private static void AssertOptimum(decimal expected, LowerBoundProblem problem, params int[][] schedule)
    {
        var result = Solve(problem);
        Assert.Equal(expected, result.BestFound, 9);
        Assert.Equal(expected, result.Integer, 4);
        Assert.True(result.IsOptimal);
        Assert.InRange(result.Gap, 0, 1e-6);
        Assert.True(result.Fractional <= result.Integer && result.Integer <= result.BestFound);
        Assert.Equal(schedule, result.Schedule.Select(counts => counts.ToArray()));
    }

    [Fact]
    public void WithoutALaunchCostEachStepHasWhatItNeeds() =>
        AssertOptimum(6, Problem([10, 25, 11, 0], 1, Offering("a", 60, 10)), [1], [3], [2], [0]);

    [Fact]
    public void FractionsAreCheaperByTheRounding()
    {
        var result = Solve(Problem([10, 25, 11, 0], 1, Offering("a", 60, 10)));
        Assert.Equal(4.6m, result.Fractional, 6);
    }

    [Theory]
    [InlineData(0.5, 3.0, new[] { 1, 0, 1 })]       // a launch is cheaper than an idle minute
    [InlineData(1.5, 4.5, new[] { 1, 1, 1 })]       // and here it is dearer
    public void AMachineIsKeptWhereALaunchCostsMore(double launchMinutes, double expected, int[] counts) =>
        AssertOptimum((decimal)expected, Problem([10, 0, 10], 1, Offering("a", 60, 10, launchMinutes)), [.. counts.Select(n => new[] { n })]);

    [Theory]
    [InlineData(0, 3, 3.0, new[] { 1, 1, 1, 0, 0 })]        // three minutes are billed: two serve for nothing
    [InlineData(1, 3, 3.0, new[] { 1, 1, 0, 0, 0 })]        // of which one is the launch
    [InlineData(0, 1.5, 1.5, new[] { 1, 0, 0, 0, 0 })]      // half a minute is billed and serves nothing
    [InlineData(0, 60, 60.0, new[] { 1, 1, 1, 1, 1 })]      // the minimum is paid though the demand ends before it
    public void AMinimumIsBilled(double launchMinutes, double minimumMinutes, double expected, int[] counts) =>
        AssertOptimum((decimal)expected, Problem([10, 0, 0, 0, 0], 1, Offering("a", 60, 10, launchMinutes, minimumMinutes)), [.. counts.Select(n => new[] { n })]);

    [Fact]
    public void AMachineStaysAfterItsMinimumWhereANewOneWouldBeBilledAnother() =>
        AssertOptimum(5, Problem([10, 10, 0, 0, 10], 1, Offering("a", 60, 10, minimumMinutes: 4)), [1], [1], [1], [1], [1]);

    [Fact]
    public void WhatMayBeMissedIsMissedWhereItIsDearest()
    {
        // 2 of 22 requests may be missed: those for which a second machine would be launched.
        var problem = Problem([10, 12, 0], 20.0 / 22, Offering("a", 60, 10, launchMinutes: 1));
        AssertOptimum(3, problem, [1], [1], [0]);
        Assert.Equal(2, Solve(problem).Missed, 6);
        // One request less, and it must be.
        AssertOptimum(5, problem with { ServiceLevel = 20.5 / 22 }, [1], [2], [0]);
    }

    [Fact]
    public void SpilloverServesWhereItIsCheaperThanAMachine()
    {
        var problem = Problem([10, 13, 0], 1, Offering("a", 60, 10, launchMinutes: 1)) with { SpilloverPricePerRequest = 0.5m };
        AssertOptimum(4.5m, problem, [1], [1], [0]);
        Assert.Equal(3, Solve(problem).Spilled, 9);
        AssertOptimum(5, problem with { SpilloverPricePerRequest = 0.9m }, [1], [2], [0]);
        // So cheap that no machine is worth it.
        AssertOptimum(0.23m, problem with { SpilloverPricePerRequest = 0.01m }, [0], [0], [0]);
    }

    [Fact]
    public void SpilloverIsPaidBeyondWhatMayBeMissed()
    {
        var problem = Problem([10, 13, 0], 21.0 / 23, Offering("a", 60, 10, launchMinutes: 1)) with { SpilloverPricePerRequest = 0.5m };
        AssertOptimum(3.5m, problem, [1], [1], [0]);
        var result = Solve(problem);
        Assert.Equal((2.0, 1.0), (Math.Round(result.Missed, 6), Math.Round(result.Spilled, 6)));
    }

    [Fact]
    public void TheFleetOfTheStartCostsNoLaunchAndMayGo()
    {
        var problem = Problem([10, 10, 0], 1, Offering("a", 60, 10, launchMinutes: 5, minimumMinutes: 30));
        AssertOptimum(2, problem with { Initial = [3] }, [1], [1], [0]);
        AssertOptimum(1, Problem([0, 10, 0], 1, Offering("a", 60, 10)) with { Initial = [1] }, [0], [1], [0]);
        // Kept through a minute without demand: a launch costs five.
        AssertOptimum(2, Problem([0, 10, 0], 1, Offering("a", 60, 10, launchMinutes: 5)) with { Initial = [1] }, [1], [1], [0]);
    }

    [Fact]
    public void KindsOfMachinesAreMixed() =>
        // Large ones are cheaper a request, small ones a rest: 4 dollars for 40, 1.5 for 10.
        AssertOptimum(5.5m + 4 + 3, Problem([50, 40, 20], 1, Offering("small", 90, 10), Offering("large", 240, 40)), [1, 1], [0, 1], [2, 0]);

    [Fact]
    public void AMaximumIsFilledUpWithWhatIsDearer() =>
        AssertOptimum(2 * 1 + 2 * 3, Problem([40], 1, Offering("dear", 180, 10), Offering("few", 60, 10, max: 2), Offering("useless", 1, 0)), [2, 2, 0]);

    [Fact]
    public void NoDemandCostsNothing()
    {
        var result = Solve(Problem([0, 0], 0.99, Offering("a", 60, 10)) with { Initial = [4] });
        Assert.Equal((0m, 0m, 0m, 0.0, true), (result.Fractional, result.Integer, result.BestFound, result.Gap, result.IsOptimal));
        Assert.Equal([[0], [0]], result.Schedule.Select(counts => counts.ToArray()));
    }

    [Fact]
    public void ADemandTooSmallForASolverHasAValidBound()
    {
        var result = Solve(Problem([1e-12, 0, 1e-15], 1, Offering("a", 60, 10)));
        Assert.Equal(2, result.BestFound, 9);
        Assert.InRange(result.Integer, result.Fractional, 2);
    }

    [Fact]
    public void WhatIsFreeCostsNothing() => AssertOptimum(0, Problem([10, 5], 0.9, Offering("free", 0, 10, launchMinutes: 3)), [1], [1]);

    [Fact]
    public void RawThroughputIsThatOfTheBestBatchWithinTheObjective()
    {
        var profile = LatencyProfile.Linear(TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(50), 8);
        Assert.Equal(20, LowerBound.RawThroughput(profile, TimeSpan.FromMilliseconds(1000), 64) * 9 / 8, 6);
        Assert.Equal(15, LowerBound.RawThroughput(profile, TimeSpan.FromMilliseconds(200), 64), 6);
        Assert.Equal(10, LowerBound.RawThroughput(profile, TimeSpan.FromMilliseconds(1000), 1), 6);
        Assert.Equal(0, LowerBound.RawThroughput(profile, TimeSpan.FromMilliseconds(99), 64));
        Assert.Equal(0, LowerBound.RawThroughput(LatencyProfile.Unmeasured(4), TimeSpan.FromMilliseconds(99), 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => LowerBound.RawThroughput(profile, TimeSpan.FromSeconds(1), 0));
        Assert.Throws<ArgumentNullException>(() => LowerBound.RawThroughput(null!, TimeSpan.FromSeconds(1), 1));
    }
}
