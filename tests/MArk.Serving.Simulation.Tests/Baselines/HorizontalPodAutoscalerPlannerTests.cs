using MArk.Serving.Simulation.Baselines;

namespace MArk.Serving.Simulation.Tests.Baselines;

public sealed class HorizontalPodAutoscalerPlannerTests
{
    // One instance does 10/s: in a slot of 15 s, 150.
    private static ScriptedFleet Fleet(int ready, double target = 0.7, bool follows = false) =>
        new(new HorizontalPodAutoscalerPlanner("kind", 10, target), HorizontalPodAutoscalerPlanner.SampleInterval) { Ready = ready, Follows = follows };

    /// <summary>A slot in which the instances use a share of their capacity, and the plan after it.</summary>
    private static int Used(ScriptedFleet fleet, double share) => fleet.Step(completions: Math.Round(share * fleet.Ready * 150));

    [Theory]
    [InlineData(0.7, 10)]
    [InlineData(0.76, 10)]
    [InlineData(0.64, 10)]
    [InlineData(0.78, 12)]
    [InlineData(0.9, 13)]
    public void TheNumberFollowsTheUtilisationOutsideTheTolerance(double used, int expected) => Assert.Equal(expected, Used(Fleet(10), used));

    [Fact]
    public void WhatAnInstanceCompletesIsASettingWhateverCapacityIsTold()
    {
        var fleet = new ScriptedFleet(new HorizontalPodAutoscalerPlanner("kind", 10), HorizontalPodAutoscalerPlanner.SampleInterval) { Ready = 10, Capacity = 4 };
        Assert.Equal(13, Used(fleet, 0.9));
    }

    [Fact]
    public void UtilisationIsAtMostOne() => Assert.Equal(15, Used(Fleet(10), 5));

    [Fact]
    public void UpItGoesByNoMoreThanTheLargerOfTwiceAndFourInFifteenSeconds()
    {
        // A target of a tenth asks for ten times as many.
        var fleet = Fleet(1, target: 0.1, follows: true);
        Assert.Equal([5, 10, 20, 40], Enumerable.Range(0, 4).Select(_ => Used(fleet, 1)));
    }

    [Fact]
    public void AskedMoreOftenItDecidesEveryFifteenSecondsAllTheSame()
    {
        var fleet = Fleet(1, target: 0.1, follows: true);
        Assert.Equal(5, Used(fleet, 1));
        fleet.Now += TimeSpan.FromSeconds(5);
        Assert.Equal(5, fleet.Plan());
        fleet.Now += TimeSpan.FromSeconds(10);
        Assert.Equal(10, fleet.Plan());
    }

    [Fact]
    public void DownItGoesToTheHighestRecommendationOfTheLastFiveMinutesAtOnce()
    {
        var fleet = Fleet(10, follows: true);
        Assert.Equal(10, fleet.Plan());
        var planned = new Dictionary<double, int>();
        while (fleet.Elapsed < TimeSpan.FromSeconds(600))
        {
            // 6/s need one instance; at 150 s, 40/s need six.
            var rate = fleet.Elapsed == TimeSpan.FromSeconds(135) ? 40 : 6;
            var count = fleet.Step(completions: rate * 15);
            planned[fleet.Elapsed.TotalSeconds] = count;
        }
        Assert.All(planned.Where(p => p.Key <= 300), p => Assert.Equal(10, p.Value));
        Assert.All(planned.Where(p => p.Key is > 300 and <= 450), p => Assert.Equal(6, p.Value));
        Assert.All(planned.Where(p => p.Key > 450), p => Assert.Equal(1, p.Value));
    }

    [Fact]
    public void InstancesOnTheirWayCountAsUnusedWhereMoreAreWanted()
    {
        var fleet = Fleet(10);
        Assert.Equal(15, Used(fleet, 1));
        fleet.Launching = 5;
        Assert.Equal((15, 15), (Used(fleet, 1), Used(fleet, 1)));
        (fleet.Ready, fleet.Launching) = (15, 0);
        Assert.Equal(22, Used(fleet, 1));
        // 14.3 are wanted: within the tolerance of the 14 that there are with those on their way.
        fleet = Fleet(10);
        fleet.Launching = 4;
        Assert.Equal(14, Used(fleet, 1));
    }

    [Fact]
    public void WithoutAMetricNothingIsDone()
    {
        var fleet = Fleet(0);
        fleet.Launching = 3;
        Assert.Equal((3, 3, 3), (fleet.Plan(), fleet.Step(), fleet.Step()));
    }

    [Fact]
    public void ThePlanSaysWhy()
    {
        var fleet = Fleet(10);
        Used(fleet, 0.9);
        Assert.Equal("utilisation 0.9 of 10 that serve, target 0.7", fleet.LastPlan.Explanation.Summary);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1.1)]
    [InlineData(double.NaN)]
    public void ATargetThatIsNoShareIsRefused(double target) => Assert.Throws<ArgumentOutOfRangeException>(() => Fleet(1, target));

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.NaN)]
    public void ARateThatIsNoneIsRefused(double rate) => Assert.Throws<ArgumentOutOfRangeException>(() => new HorizontalPodAutoscalerPlanner("kind", rate));
}
