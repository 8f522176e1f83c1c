using MArk.Serving.Simulation.Baselines;

namespace MArk.Serving.Simulation.Tests.Baselines;

public sealed class KnativePodAutoscalerPlannerTests
{
    private static ScriptedFleet Fleet(int ready, bool follows = false) =>
        new(new KnativePodAutoscalerPlanner("kind", 10), KnativePodAutoscalerPlanner.SampleInterval) { Ready = ready, Follows = follows };

    /// <summary>The plan after so many seconds of a concurrency.</summary>
    private static int Run(ScriptedFleet fleet, int seconds, double concurrency)
    {
        var planned = 0;
        for (var slot = 0; slot < seconds / 2; slot++)
        {
            planned = fleet.Step(concurrency: concurrency);
        }
        return planned;
    }

    /// <summary>A fleet of some that has been calm for longer than the stable window.</summary>
    private static ScriptedFleet Calm(int ready, double concurrency, bool follows = false)
    {
        var fleet = Fleet(ready, follows);
        Assert.Equal(ready, fleet.Plan());
        Run(fleet, 80, concurrency);
        return fleet;
    }

    [Fact]
    public void TheMeanConcurrencyOfSixtySecondsOverTheTargetIsHad()
    {
        var fleet = Calm(4, 40);
        Assert.Equal(4, fleet.Plan());
        // After 30 of 60 s at 50 the mean is 45.
        Assert.Equal(5, Run(fleet, 30, 50));
        Assert.Equal(5, Run(fleet, 60, 50));
        Assert.Equal(5, Run(fleet, 14, 40));
        Assert.Equal(4, Run(fleet, 60, 40));
    }

    [Fact]
    public void AtLeastHalfOfThoseThatServeAreKept() => Assert.Equal(10, Run(Calm(21, 5), 2, 5));

    [Fact]
    public void EachStepDownHalvesAtMost()
    {
        var fleet = Fleet(20, follows: true);
        fleet.Plan();
        Run(fleet, 60, 5);
        Assert.Equal([10, 5, 2, 1, 1], Enumerable.Range(0, 5).Select(_ => fleet.Step(concurrency: 5)));
    }

    [Fact]
    public void AtMostAThousandTimesAsManyAreHad()
    {
        Assert.Equal(2000, Run(Calm(2, 20), 60, 1e9));
        // Where none serves, one is reckoned with.
        Assert.Equal(1000, Run(Fleet(0), 2, 1e9));
    }

    [Fact]
    public void APanicBeginsWhereTheLastSixSecondsAskForTwiceWhatServes()
    {
        var fleet = Calm(4, 40);
        // Of 6 s, 2 at 90: 57, six wanted of four. Then 4 at 90: 73, eight, which is twice as many.
        Assert.Equal(5, fleet.Step(concurrency: 90));
        Assert.Equal(8, fleet.Step(concurrency: 90));
        Assert.Contains("in a panic", fleet.LastPlan.Explanation.Summary);
        Assert.Equal(9, fleet.Step(concurrency: 90));
        Assert.Equal(12, Run(fleet, 6, 120));
    }

    [Fact]
    public void InAPanicNothingIsLetGoUntilSixtySecondsBelowTheThresholdAreOver()
    {
        var fleet = Calm(4, 40, follows: true);
        // Five serve by the stable window when the last 6 s ask for ten.
        Assert.Equal(10, Run(fleet, 6, 100));
        var last = fleet.Now;
        // Below the threshold, since ten serve; it grows all the same.
        Assert.Equal(11, fleet.Step(concurrency: 110));
        while (fleet.Now < last + TimeSpan.FromSeconds(60))
        {
            Assert.Equal(11, fleet.Step(concurrency: 40));
            Assert.Contains("in a panic", fleet.LastPlan.Explanation.Summary);
        }
        // What is let go is half at most.
        Assert.Equal(5, fleet.Step(concurrency: 40));
        Assert.DoesNotContain("panic", fleet.LastPlan.Explanation.Summary);
        Assert.Equal(4, fleet.Step(concurrency: 40));
    }

    [Fact]
    public void OneAboveTheThresholdExtendsThePanic()
    {
        var fleet = Calm(4, 40);
        Run(fleet, 6, 90);
        // Only four serve still: each tick is above the threshold, and the sixty seconds begin with the last.
        Assert.Equal(9, Run(fleet, 100, 90));
        // The first six seconds at 40 still have some of 90 in them.
        Assert.Equal(9, Run(fleet, 60, 40));
        Assert.Equal(4, Run(fleet, 6, 40));
    }

    [Fact]
    public void AFleetThatIsFoundIsKeptUntilTheWindowIsFilled()
    {
        var fleet = Fleet(8);
        Assert.Equal(8, fleet.Plan());
        Assert.Equal(8, Run(fleet, 60, 5));
        Assert.Equal(4, Run(fleet, 2, 5));
        // One alone is no reason to.
        fleet = Fleet(1);
        Assert.Equal(1, Run(fleet, 2, 5));
        Assert.DoesNotContain("panic", fleet.LastPlan.Explanation.Summary);
    }

    [Fact]
    public void AskedTwiceInATickItHalvesOnce()
    {
        var fleet = Fleet(20, follows: true);
        fleet.Plan();
        Run(fleet, 60, 5);
        Assert.Equal((10, 10), (fleet.Step(concurrency: 5), fleet.Plan()));
    }
}
