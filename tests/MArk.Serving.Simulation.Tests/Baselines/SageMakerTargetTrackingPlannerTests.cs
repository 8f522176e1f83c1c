using MArk.Serving.Provisioning;
using MArk.Serving.Simulation.Baselines;

namespace MArk.Serving.Simulation.Tests.Baselines;

public sealed class SageMakerTargetTrackingPlannerTests
{
    // One instance does 5/s at most: half of it, a minute, are 150 invocations.
    private static ScriptedFleet Fleet(int ready, bool follows = false, SageMakerTargetTrackingOptions? options = null, int min = 1, double slotSeconds = 60) =>
        new(new SageMakerTargetTrackingPlanner("kind", options), TimeSpan.FromSeconds(slotSeconds)) { Capacity = 5, Ready = ready, Follows = follows, Min = min };

    private static int[] Minutes(ScriptedFleet fleet, params int[] arrivals) => [.. arrivals.Select(a => fleet.Step(a))];

    private static int[] Same(ScriptedFleet fleet, int count, int arrivals) => Minutes(fleet, [.. Enumerable.Repeat(arrivals, count)]);

    [Fact]
    public void ItScalesOutWhereThreePointsInARowLieAboveTheTarget()
    {
        // Exactly at the target is not above it.
        Assert.Equal([2, 2, 2, 2], Minutes(Fleet(2), 300, 300, 300, 300));
        Assert.Equal([2, 2, 3], Minutes(Fleet(2), 301, 301, 301));
        Assert.Equal([2, 2, 2, 2, 2, 3], Minutes(Fleet(2), 310, 310, 290, 310, 310, 310));
    }

    [Fact]
    public void HowFarIsInProportionToTheLastPoint() => Assert.Equal([2, 2, 6], Minutes(Fleet(2), 400, 2000, 900));

    [Fact]
    public void TheSafetyFactorSetsTheTarget() =>
        Assert.Equal([2, 2, 2], Minutes(Fleet(2, options: new SageMakerTargetTrackingOptions { SafetyFactor = 1 }), 590, 590, 590));

    [Fact]
    public void InstancesOnTheirWayAreNotAskedForAgain()
    {
        var fleet = Fleet(2);
        Assert.Equal([2, 2, 4], Minutes(fleet, 600, 600, 600));
        // They take longer than the cool-down: nothing is added all the same.
        Assert.Equal(Enumerable.Repeat(4, 8), Same(fleet, 8, 600));
    }

    [Fact]
    public void DuringTheCoolDownOnlyALargerScaleOutOverrides()
    {
        var fleet = Fleet(2);
        Assert.Equal([2, 2, 4], Minutes(fleet, 600, 600, 600));
        Assert.Equal([4, 5], Minutes(fleet, 590, 750));
        // All five serve, and one more is wanted: less than the three that were added to the two.
        fleet.Ready = 5;
        Assert.Equal([5, 5, 5, 5], Same(fleet, 4, 900));
        Assert.Equal([6], Minutes(fleet, 900));
    }

    [Fact]
    public void ItScalesInWhereFifteenPointsInARowLieBelowNineTenthsOfTheTargetOneStepACoolDown()
    {
        var fleet = Fleet(20, follows: true);
        Assert.Equal([.. Enumerable.Repeat(20, 14), 18], Same(fleet, 15, 1200));
        Assert.Equal([18, 18, 18, 18, 17], Same(fleet, 5, 1200));
        Assert.Equal([17, 17, 17, 17, 16], Same(fleet, 5, 1200));
        // Never so many that the rest would be above the target: 1200 / 150.
        Assert.Equal(8, Same(fleet, 100, 1200)[^1]);
    }

    [Fact]
    public void OnePointThatIsNotBelowBeginsTheFifteenAnew()
    {
        var fleet = Fleet(20, follows: true);
        // 2700 / 20 is nine tenths exactly.
        Assert.Equal(Enumerable.Repeat(20, 14 + 1 + 14), Minutes(fleet, [.. Enumerable.Repeat(1200, 14), 2700, .. Enumerable.Repeat(1200, 14)]));
        Assert.Equal([18], Minutes(fleet, 1200));
    }

    [Fact]
    public void AScaleOutIsMadeDuringTheCoolDownOfAScaleInAndEndsIt()
    {
        var fleet = Fleet(10, follows: true, new SageMakerTargetTrackingOptions { ScaleInDataPoints = 1, ScaleOutDataPoints = 1 });
        Assert.Equal([9, 9, 9], Same(fleet, 3, 1000));
        Assert.Equal([11], Minutes(fleet, 1600));
        // Two minutes after the scale-in its cool-down would still last; the scale-out ended it.
        Assert.Equal([10], Minutes(fleet, 1000));
    }

    [Fact]
    public void AnEndpointWithoutTrafficScalesInToItsMinimumAndNeverToNone()
    {
        Assert.Equal(1, Same(Fleet(5, follows: true, min: 0), 60, 0)[^1]);
        Assert.Equal(3, Same(Fleet(5, follows: true, min: 3), 60, 0)[^1]);
    }

    [Fact]
    public void MissingDataBlocks()
    {
        // No instance in service.
        var fleet = Fleet(2);
        Minutes(fleet, 400, 400);
        fleet.Ready = 0;
        Assert.Equal([2], Minutes(fleet, 400));
        fleet.Ready = 2;
        Assert.Equal([2, 2, 3], Minutes(fleet, 400, 400, 400));

        // A minute that nobody observed.
        fleet = Fleet(2);
        Minutes(fleet, 400, 400);
        fleet.Now += TimeSpan.FromMinutes(1);
        Assert.Equal(2, fleet.Plan());
        Assert.Equal([2, 2, 3], Minutes(fleet, 400, 400, 400));
    }

    [Fact]
    public void ShorterSlotsAddUpToMinutesAndOneThatIsNotWholeIsMissing()
    {
        var fleet = Fleet(2, slotSeconds: 20);
        Assert.Equal([2, 2, 2, 2, 2, 2, 2, 2, 3], Minutes(fleet, 100, 100, 102, 102, 100, 100, 102, 100, 100));
        fleet = Fleet(2, slotSeconds: 20);
        Same(fleet, 6, 200);
        fleet.Now += TimeSpan.FromSeconds(20);
        Assert.Equal([2, 2], Minutes(fleet, 200, 200));
        Assert.Equal([.. Enumerable.Repeat(2, 8), 4], Same(fleet, 9, 200));
    }

    [Fact]
    public void MinutesBeginWithTheFirstSlotWhereverThatIs()
    {
        var fleet = Fleet(2);
        fleet.Now += TimeSpan.FromSeconds(17.3);
        Assert.Equal([2, 2, 3], Minutes(fleet, 400, 400, 400));
    }

    [Fact]
    public void AskedAgainBetweenTwoPointsItSaysTheSame()
    {
        var fleet = Fleet(20, options: new SageMakerTargetTrackingOptions { ScaleInDataPoints = 1, ScaleInCooldown = TimeSpan.Zero });
        Assert.Equal([18], Minutes(fleet, 100));
        Assert.Equal((18, 18), (fleet.Plan(), fleet.Plan()));
    }

    [Fact]
    public void ThePlanSaysWhy()
    {
        var fleet = Fleet(2);
        fleet.Plan();
        Assert.Equal("no data, target 150 invocations a minute and instance: stays at 2", fleet.LastPlan.Explanation.Summary);
        Minutes(fleet, 600, 600, 600);
        Assert.Equal("300 invocations a minute and instance, target 150: scales out from 2 to 4", fleet.LastPlan.Explanation.Summary);
    }

    [Fact]
    public void ASlotThatLiesInTwoMinutesIsRefused()
    {
        var fleet = Fleet(2, slotSeconds: 50);
        fleet.Observe(1);
        Assert.Contains("00:00:50 does not lie within a minute", Assert.Throws<InvalidProvisioningInputException>(() => fleet.Observe(1)).Message);
    }

    [Fact]
    public void OptionsOutsideTheirRangeAreNamed()
    {
        Assert.Contains("SafetyFactor must be", Assert.Throws<ArgumentOutOfRangeException>(() => new SageMakerTargetTrackingOptions { SafetyFactor = 0 }).Message);
        Assert.Contains("ScaleInDataPoints must be", Assert.Throws<ArgumentOutOfRangeException>(() => new SageMakerTargetTrackingOptions { ScaleInDataPoints = 0 }).Message);
        Assert.Contains("ScaleOutCooldown must be", Assert.Throws<ArgumentOutOfRangeException>(() => new SageMakerTargetTrackingOptions { ScaleOutCooldown = TimeSpan.FromTicks(-1) }).Message);
    }

    [Fact]
    public void AUserTakesTheOfferingOfTheLowestPricePerRequestThatMeetsTheObjective()
    {
        SimulatedInstance[] offerings =
        [
            Kind("slow", 0.01m, 700), Kind("small", 0.119m, 211.3), Kind("large", 0.238m, 122.4), Kind("spot", 0.03m, 211.3, InstanceMarket.Spot),
        ];
        Assert.Equal("small", SageMakerTargetTrackingPlanner.CheapestOffering(offerings, TimeSpan.FromMilliseconds(600)).Offering.Name);
        Assert.Equal("large", SageMakerTargetTrackingPlanner.CheapestOffering(offerings, TimeSpan.FromMilliseconds(200)).Offering.Name);
        Assert.Contains("slow, small", Assert.Throws<NoUsableOfferingException>(() => SageMakerTargetTrackingPlanner.CheapestOffering(offerings, TimeSpan.FromMilliseconds(50))).Message);

        static SimulatedInstance Kind(string name, decimal price, double ms, InstanceMarket market = InstanceMarket.OnDemand) => new(
            new InstanceOffering { Name = name, PricePerHour = price, Market = market }, LatencyProfile.Linear(TimeSpan.Zero, TimeSpan.FromMilliseconds(ms), 1));
    }
}
