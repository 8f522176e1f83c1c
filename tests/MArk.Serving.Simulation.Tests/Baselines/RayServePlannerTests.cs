using MArk.Serving.Simulation.Baselines;

namespace MArk.Serving.Simulation.Tests.Baselines;

public sealed class RayServePlannerTests
{
    private static ScriptedFleet Fleet(int ready, bool follows = false, int min = 0, int max = 1000) =>
        new(new RayServePlanner("kind", 2), RayServePlanner.SampleInterval) { Ready = ready, Follows = follows, Min = min, Max = max };

    /// <summary>The plans after slots of 5 s each.</summary>
    private static int[] Slots(ScriptedFleet fleet, params double[] ongoing) => [.. ongoing.Select(o => fleet.Step(concurrency: o))];

    private static int[] Same(ScriptedFleet fleet, int count, double ongoing) => Slots(fleet, [.. Enumerable.Repeat(ongoing, count)]);

    [Fact]
    public void MoreIsHadOnceItHasBeenAskedForThirtySeconds() =>
        // First asked for at 5 s: carried out at 35 s.
        Assert.Equal([2, 2, 2, 2, 2, 2, 5, 5], Same(Fleet(2), 8, 10));

    [Fact]
    public void WhatIsCarriedOutIsTheNumberAtTheEndOfTheDelay() =>
        // The last 30 s of 35: half at 10 and half at 20, which are 7.5 instances.
        Assert.Equal(8, Slots(Fleet(2), 10, 10, 10, 10, 20, 20, 20)[^1]);

    [Fact]
    public void TheDelayBeginsAnewWhereNoMoreIsAskedForInBetween()
    {
        var fleet = Fleet(2);
        // The mean of 30 s asks for three until second 30, for two until second 55, and for three again from second 60 on.
        Assert.All(Slots(fleet, 5, 5, 5, 5, 5, 0, 0, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6), planned => Assert.Equal(2, planned));
        Assert.Equal(TimeSpan.FromSeconds(85), fleet.Elapsed);
        Assert.Equal([3], Slots(fleet, 6));
    }

    [Fact]
    public void FewerAreHadOnceTheyHaveBeenAskedForTenMinutes()
    {
        var fleet = Fleet(4);
        Assert.All(Same(fleet, 120, 2), planned => Assert.Equal(4, planned));
        Assert.Equal(TimeSpan.FromSeconds(600), fleet.Elapsed);
        Assert.Equal([1, 1], Slots(fleet, 2, 2));
    }

    [Fact]
    public void OneSlotOfMoreBeginsTheTenMinutesAnew()
    {
        var fleet = Fleet(4);
        // 200 in one slot are 33 a slot over the look-back of 30 s, more than the eight of four instances: six slots ask for more.
        Assert.All(Slots(fleet, [.. Enumerable.Repeat(2.0, 100), 200, .. Enumerable.Repeat(2.0, 5 + 120)]), planned => Assert.Equal(4, planned));
        Assert.Equal([1], Slots(fleet, 2));
    }

    [Fact]
    public void FromNoneOneIsHadAtOnceAndNoMoreUntilItServes()
    {
        var fleet = Fleet(0);
        Assert.Equal([0, 1], Slots(fleet, 0, 50));
        Assert.Equal(Enumerable.Repeat(1, 20), Same(fleet, 20, 50));
        fleet.Ready = 1;
        Assert.Equal(25, Same(fleet, 7, 50)[^1]);
    }

    [Fact]
    public void ToNoneItGoesOnlyFromOne()
    {
        var fleet = Fleet(3, follows: true);
        Assert.Equal([3, 1], Same(fleet, 121, 0)[^2..]);
        Assert.Equal([1, 0], Same(fleet, 121, 0)[^2..]);
    }

    [Fact]
    public void BoundsAreNoReasonToScale()
    {
        // Already at its most, it is at what it wants.
        Assert.All(Same(Fleet(2, max: 2), 20, 100), planned => Assert.Equal(2, planned));
        Assert.All(Same(Fleet(2, min: 2), 200, 0), planned => Assert.Equal(2, planned));
    }

    [Fact]
    public void ThePlanSaysWhy()
    {
        var fleet = Fleet(2);
        Slots(fleet, 9);
        Assert.Equal("9 ongoing requests, target 2 each: 5 wanted", fleet.LastPlan.Explanation.Summary);
    }
}
