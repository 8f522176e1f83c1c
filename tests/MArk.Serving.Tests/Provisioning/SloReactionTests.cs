using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>What the controller does between plans where the objective is broken. An instance serves 100/s; a slot is five seconds.</summary>
public sealed class SloReactionTests
{
    private static readonly InstanceOffering Slow = new() { Name = "slow", PricePerHour = 1, LaunchDelay = TimeSpan.FromSeconds(300) };
    private static readonly InstanceOffering Quick = new() { Name = "quick", PricePerHour = 2, LaunchDelay = TimeSpan.FromSeconds(60) };
    private static readonly InstanceOffering AsQuick = new() { Name = "as-quick", PricePerHour = 1.5m, LaunchDelay = TimeSpan.FromSeconds(70) };

    private static FleetWorld World(FleetSettings? settings = null, IProvisioningPlanner? planner = null, params InstanceOffering[] offerings)
    {
        var world = new FleetWorld(settings ?? new FleetSettings { Fleet = "m", MinInstances = 0 }, offerings.Length == 0 ? [Slow, Quick] : offerings, planner: planner);
        world.Tick(1);
        world.Serve();
        return world;
    }

    [Fact]
    public void ABreachLaunchesWhatTheRateNeedsOfTheQuickTypeAtOnce()
    {
        var world = World();
        // 250/s are offered, and 100/s served.
        world.Slot(1250, 500);
        Assert.Equal(["quick", "quick"], world.Launching.Select(l => l.OfferingName));
        Assert.Equal(1, world.Controller.Tally.SloBreaks);
        Assert.Contains(world.Controller.Explanation.Bounds, b => b.Kind == PlanBoundKind.SloBreach && b.Text.Contains("2 x quick beyond the plan", StringComparison.Ordinal));
    }

    [Fact]
    public void OfTypesThatAreAlmostAsQuickTheCheapestIsTaken()
    {
        var world = World(null, null, Slow, Quick, AsQuick);
        world.Slot(1000, 500);
        Assert.Equal(["as-quick"], world.Launching.Select(l => l.OfferingName));
    }

    [Fact]
    public void AFewUnluckyRequestsLaunchNothing()
    {
        var world = World();
        world.Slot(3, 0);
        world.Slot(1000, 988);
        Assert.Empty(world.Launching);
        Assert.Equal(0, world.Controller.Tally.SloBreaks);
    }

    [Fact]
    public void OneBreachDoesNotLaunchAgainWhileWhatWasLaunchedIsOnItsWay()
    {
        var world = World();
        world.Slot(1250, 500);
        for (var i = 0; i < 10; i++)
        {
            world.Slot(1250, 500);
        }
        Assert.Equal(2, world.Launching.Count);
        // The rate grows on: so does what is had.
        world.Slot(1750, 500);
        Assert.Equal(3, world.Launching.Count);
        Assert.Equal(1, world.Controller.Tally.SloBreaks);
    }

    [Fact]
    public void WhereWhatServesShouldDoAndDoesNotOneMoreIsHadAfterFreshEvidence()
    {
        var world = World();
        world.Slot(450, 400);
        Assert.Single(world.Launching);
        world.Slot(450, 400);
        world.Serve();
        // Arrived before it served.
        world.Slot(450, 400);
        Assert.Empty(world.Launching);
        world.Slot(450, 400);
        Assert.Empty(world.Launching);
        // 90/s on two that serve 200/s: it is not for want of instances.
        world.Slot(450, 400);
        Assert.Empty(world.Launching);
        world.Slot(650, 500);
        Assert.Single(world.Launching);
    }

    [Fact]
    public void WhatWasLaunchedIsKeptUntilTheObjectiveWasKeptForAWhileAndThenLetGo()
    {
        var world = World();
        world.Slot(1000, 500);
        var extra = world.Serve();
        for (var second = 0; second < 280; second += 5)
        {
            if (second % 60 == 0)
            {
                world.Tick(1);
            }
            world.Slot(1000, 1000);
            Assert.Empty(world.Draining);
        }
        world.Advance(60);
        world.Tick(1);
        Assert.Equal([extra], world.Draining);
    }

    [Fact]
    public void SpilloverIsWarmedUpForWhatTheInstancesCannotServe()
    {
        var world = World(new FleetSettings { Fleet = "m", Spillover = new SpilloverTerms(1e-6, TimeSpan.FromSeconds(0.1)) });
        world.Slot(1250, 500);
        // 150/s for 0.1 s each.
        Assert.Equal([15], world.Prewarmed);
        world.Slot(1250, 500);
        Assert.Equal([15], world.Prewarmed);
        world.Slot(1750, 500);
        Assert.Equal([15, 25], world.Prewarmed);
    }

    [Fact]
    public void WhereBurstsAreMissedThoughTheInstancesWouldDoMoreAndMoreSpilloverIsWarmedUpUntilNoneIs()
    {
        var world = World(new FleetSettings { Fleet = "m", Spillover = new SpilloverTerms(1e-6, TimeSpan.FromSeconds(0.1)) });
        // 80/s of the 100/s there are, and half of them late: 40/s for 0.1 s each.
        world.Slot(400, 200);
        Assert.Equal([4], world.Prewarmed);
        world.Slot(400, 200);
        world.Slot(400, 250);
        Assert.Equal([4, 8, 16], world.Prewarmed);
        // The window still shows it broken; the last slot does not.
        world.Slot(400, 400);
        Assert.Equal([4, 8, 16], world.Prewarmed);
    }

    [Fact]
    public void TheGuardRailsHoldInABreachAndTheBudgetSaysWhatItRefused()
    {
        var world = World(new FleetSettings { Fleet = "m", MaxHourlySpend = 5 });
        world.Slot(50_000, 500);
        Assert.Equal(["quick", "quick"], world.Launching.Select(l => l.OfferingName));
        Assert.Contains(world.Controller.Explanation.Bounds, b => b.Kind == PlanBoundKind.HourlySpend);
        world = World(new FleetSettings { Fleet = "m", MaxInstances = 3 });
        world.Slot(50_000, 500);
        Assert.Equal(2, world.Launching.Count);
        world = World(null, null, Slow, Quick with { MaxInstances = 1 });
        world.Slot(1250, 500);
        Assert.Equal(["quick", "slow"], world.Launching.Select(l => l.OfferingName));
    }

    [Fact]
    public void AFleetThatIsMeantToBeJustSoIsNotExceededAndTheMonitorCanBeTurnedOff()
    {
        var world = World(null, new StaticPlanner(1));
        world.Slot(1250, 0);
        Assert.Empty(world.Launching);
        world = World(new FleetSettings { Fleet = "m", SloWindow = TimeSpan.Zero });
        world.Slot(1250, 0);
        Assert.Empty(world.Launching);
    }

    [Fact]
    public void AFleetOfNoneIsWokenByTheFirstRequestThatCanGoNowhereElse()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0 }, [Slow, Quick]);
        world.Tick(0);
        world.Arrive(0);
        Assert.Empty(world.Launching);
        world.Arrive(1);
        world.Arrive(1);
        Assert.Equal("quick", Assert.Single(world.Launching).OfferingName);
        // Kept though the plan wants none, until it has served for a while and nothing was amiss.
        var id = world.Serve();
        for (var minute = 0; minute < 5; minute++)
        {
            world.Tick(0);
            Assert.Empty(world.Draining);
            world.Advance(60);
        }
        world.Tick(0);
        Assert.Equal([id], world.Draining);
    }

    [Fact]
    public void AFleetOfNoneIsNotWokenByWhatCanBeSpilled()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, Spillover = new SpilloverTerms(1e-6, TimeSpan.FromSeconds(0.1)) }, [Quick]);
        world.Tick(0);
        world.Arrive(5);
        Assert.Empty(world.Launching);
    }
}
