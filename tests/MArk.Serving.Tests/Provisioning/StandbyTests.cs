using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>A pool of stopped machines that stand in where others are lost. An instance serves 100/s; a slot is five seconds.</summary>
public sealed class StandbyTests
{
    private static readonly InstanceOffering Spot = new() { Name = "spot", Market = InstanceMarket.Spot, PricePerHour = 3.6m, LaunchDelay = TimeSpan.FromSeconds(120) };

    private static readonly InstanceOffering Standby = new()
    {
        Name = "standby", Market = InstanceMarket.Standby, PricePerHour = 7.2m, StoppedPricePerHour = 0.36m, LaunchDelay = TimeSpan.FromSeconds(120), ResumeDelay = TimeSpan.FromSeconds(30),
    };

    private static readonly FleetSettings Settings = new() { Fleet = "m", MinInstances = 0, MaxInstances = 10, StandbyInstances = 1 };

    private static FleetWorld World(FleetSettings? settings = null, params InstanceOffering[] offerings) => new(settings ?? Settings, offerings.Length == 0 ? [Spot, Standby] : offerings);

    /// <summary>As many as are planned serve, and the pool is stopped.</summary>
    private static (FleetWorld World, string[] Pool) Serving(int planned, FleetSettings? settings = null, params InstanceOffering[] offerings)
    {
        var world = World(settings, offerings);
        world.Tick(planned);
        while (world.Launching.FirstOrDefault(l => l.OfferingName == "spot") is { } launch)
        {
            var machine = world.Accept(launch);
            world.Change(machine.Id, InstanceState.Running);
            world.Connected(machine.Id);
        }
        var pool = new List<string>();
        while (world.Launching.Count > 0)
        {
            pool.Add(world.Serve());
            world.StandDown(pool[^1]);
        }
        Assert.Equal((planned, 0, pool.Count), (world.Controller.Ready, world.Controller.Launching, world.Controller.Stopped));
        return (world, [.. pool]);
    }

    [Fact]
    public void ThePoolIsLaunchedAndStoppedOnceTheModelWasLoadedOnIt()
    {
        var world = World();
        world.Tick(1);
        Assert.Equal(["spot", "standby"], world.Launching.Select(l => l.OfferingName));
        var standby = world.Accept(world.Launching[1]);
        world.Change(standby.Id, InstanceState.Running);
        world.Connected(standby.Id);
        // What it was given in that moment is finished.
        Assert.Equal([standby.Id], world.Draining);
        Assert.Contains(new PlanAction(PlanActionKind.Stop, "standby", 1), world.Controller.Explanation.Actions);
        world.Drained(standby.Id);
        Assert.Equal([standby.Id], world.Stopping);
        world.Stopped(standby.Id);
        Assert.Equal(1, world.Controller.Stopped);
        world.Advance(3600);
        world.Tick(1);
        Assert.Empty(world.Starting);
        Assert.DoesNotContain(world.Launching, l => l.OfferingName == "standby");
    }

    [Fact]
    public void TheTimeStoppedCostsTheStoppedPrice()
    {
        var world = World();
        world.Tick(0);
        var standby = world.Accept(world.Launching[0]);
        world.Advance(100);
        world.Change(standby.Id, InstanceState.Running);
        world.Connected(standby.Id);
        world.StandDown(standby.Id);
        Assert.Equal(0.36m, world.Controller.HourlySpend);
        world.Advance(1000);
        // 0.002 dollars a second for 100 s, 0.0001 for 1000.
        Assert.Equal(0.300m, world.Ledger.Summary(world.Now).StandbyCost);
        Assert.Equal(TimeSpan.FromSeconds(100), world.Ledger.Summary(world.Now).InstanceTime);
        Assert.Equal(world.Bill(), world.Ledger.Summary(world.Now).InstanceCost);
    }

    [Fact]
    public void ANoticeStartsAsManyAsStandInForWhatIsLost()
    {
        var (world, pool) = Serving(3, Settings with { StandbyInstances = 3 });
        world.Change(world.Serving[0], InstanceState.Interrupting, world.Now.AddSeconds(120));
        Assert.Equal([pool[0]], world.Starting);
        Assert.Contains(new PlanAction(PlanActionKind.Start, "standby", 1), world.Controller.Explanation.Actions);
        world.Change(world.Serving[0], InstanceState.Interrupting, world.Now.AddSeconds(120));
        Assert.Equal(pool[..2], world.Starting);
        world.Resume(pool[0]);
        Assert.Equal(2, world.Controller.Ready);
        Assert.Equal(1, world.Controller.Tally.Resumptions);
        // What replaces them is launched all the same.
        Assert.Equal(["spot", "spot"], world.Launching.Select(l => l.OfferingName));
    }

    [Fact]
    public void ASuddenLossStartsOneToo()
    {
        var (world, pool) = Serving(1);
        world.Vanish(world.Serving[0]);
        Assert.Equal(pool, world.Starting);
    }

    [Fact]
    public void WhatIsBeyondThePlanIsNotStoodInFor()
    {
        var (world, _) = Serving(2);
        world.Tick(1);
        world.Vanish(world.Serving[0]);
        Assert.Empty(world.Starting);
    }

    [Fact]
    public void ALoadThatGrowsStartsNoneByItself()
    {
        var (world, _) = Serving(1, Settings with { StandbyInstances = 3 });
        world.Tick(4);
        Assert.Empty(world.Starting);
        // And what is still to come is not stood in for, when one is lost.
        world.Vanish(world.Serving[0]);
        Assert.Single(world.Starting);
    }

    [Fact]
    public void ABreachStartsWhatTheRateNeedsAndLaunchesAsMuch()
    {
        var (world, pool) = Serving(1, Settings with { StandbyInstances = 3 });
        // 250/s are offered, and 100/s served.
        world.Slot(1250, 500);
        Assert.Equal(pool[..2], world.Starting);
        Assert.Equal(["spot", "spot"], world.Launching.Select(l => l.OfferingName));
    }

    [Fact]
    public void ItServesUntilThePlannedFleetHasServedWithoutItForTheCoolDownAndIsStoppedAgain()
    {
        var (world, pool) = Serving(1);
        world.Vanish(world.Serving[0]);
        world.Resume(pool[0]);
        for (var minute = 0; minute < 4; minute++)
        {
            world.Advance(60);
            world.Tick(1);
            Assert.Equal(pool, world.Serving);
        }
        var replacement = world.Serve();
        world.Advance(1);
        world.Tick(1);
        world.Advance(298);
        world.Tick(1);
        Assert.Contains(pool[0], world.Serving);
        world.Advance(2);
        Assert.Equal(pool, world.Draining);
        Assert.Contains(new PlanAction(PlanActionKind.Stop, "standby", 1), world.Controller.Explanation.Actions);
        world.StandDown(pool[0]);
        Assert.Equal([replacement], world.Serving);
        Assert.Equal(1, world.Controller.Stopped);
        Assert.Equal(world.Bill(), world.Ledger.Summary(world.Now).InstanceCost);
    }

    [Fact]
    public void OneThatWasAboutToBeStoppedServesAgainWhenItIsNeeded()
    {
        var world = World();
        world.Tick(1);
        var spot = world.Serve();
        var standby = world.Serve();
        Assert.Equal([standby], world.Draining);
        world.Vanish(spot);
        world.Drained(standby);
        Assert.Empty(world.Stopping);
        Assert.Equal([standby], world.Connecting);
        world.Connected(standby);
        Assert.Equal([standby], world.Serving);
    }

    [Fact]
    public void OneThatCannotBeStartedGivesWayToAnotherAndIsTriedLater()
    {
        var (world, pool) = Serving(1, Settings with { StandbyInstances = 2 });
        world.Vanish(world.Serving[0]);
        world.Started(pool[0], LaunchFailure.InsufficientCapacity);
        Assert.Equal([pool[1]], world.Starting);
        world.Started(pool[1], LaunchFailure.Unknown);
        Assert.Empty(world.Starting);
        Assert.Equal(1, world.Controller.Tally.LaunchFailures[(int)LaunchFailure.InsufficientCapacity]);
        world.Advance(5);
        Assert.Single(world.Starting);
    }

    [Fact]
    public void OneWhoseStartFailedAndTookEffectAllTheSameIsUsedOrStopped()
    {
        var (world, pool) = Serving(1);
        world.Vanish(world.Serving[0]);
        world.Started(pool[0], LaunchFailure.Unknown);
        world.Change(pool[0], InstanceState.Running);
        Assert.Equal(pool, world.Connecting);

        (world, pool) = Serving(1);
        world.Change(pool[0], InstanceState.Running);
        Assert.Equal(pool, world.Stopping);
        Assert.Equal(world.Bill(), world.Ledger.Summary(world.Now).InstanceCost);
    }

    [Fact]
    public void ACallWaitsForTheEndOfTheOneBefore()
    {
        // It runs before the call that starts it has ended, and need not any more.
        var (world, pool) = Serving(1, Settings with { ScaleInCooldown = TimeSpan.Zero });
        world.Vanish(world.Serving[0]);
        world.Change(pool[0], InstanceState.Running);
        world.Connected(pool[0]);
        var replacement = world.Serve();
        world.Tick(1);
        Assert.Equal([replacement], world.Serving);
        world.Drained(pool[0]);
        Assert.Equal(pool, world.Starting);
        Assert.Empty(world.Stopping);
        world.Started(pool[0]);
        Assert.Equal(pool, world.Stopping);

        // By another hand it is stopped again before that, and needed still.
        (world, pool) = Serving(1);
        world.Vanish(world.Serving[0]);
        world.Change(pool[0], InstanceState.Running);
        world.Change(pool[0], InstanceState.Stopped);
        Assert.Equal(pool, world.Starting);
        world.Started(pool[0], LaunchFailure.Unknown);
        Assert.Equal(pool, world.Starting);
    }

    [Fact]
    public void OneThatIsMisconfiguredIsEndedAndNoOtherLaunched()
    {
        var (world, pool) = Serving(1);
        world.Vanish(world.Serving[0]);
        world.Started(pool[0], LaunchFailure.Misconfigured);
        Assert.Equal(pool, world.Terminating);
        Assert.Contains("cannot be started", Assert.Single(world.Faults).Message);
        world.Terminated(pool[0]);
        world.Advance(10_000);
        world.Tick(1);
        Assert.DoesNotContain(world.Launching, l => l.OfferingName == "standby");
    }

    [Fact]
    public void OneThatMayNeverHaveStoppedCostsItsFullPriceWhenItCannotBeStarted()
    {
        var world = World();
        world.Tick(1);
        var spot = world.Serve();
        var standby = world.Serve();
        world.Drained(standby);
        world.Stopped(standby, well: false);
        world.Vanish(spot);
        world.AdvanceTo(world.WakeAt!.Value);
        Assert.Equal([standby], world.Starting);
        world.Started(standby, LaunchFailure.InsufficientCapacity);
        world.FailLaunch(world.Launching[0], LaunchFailure.InsufficientCapacity);
        Assert.Equal(Standby.PricePerHour, world.Controller.HourlySpend);
        world.Change(standby, InstanceState.Stopped);
        Assert.Equal(Standby.StoppedPricePerHour, world.Controller.HourlySpend);
    }

    [Fact]
    public void StoppingIsTriedUntilItSucceeds()
    {
        var world = World();
        world.Tick(0);
        var standby = world.Serve();
        world.Drained(standby);
        for (var i = 0; i < 3; i++)
        {
            world.Stopped(standby, well: false);
            Assert.Empty(world.Stopping);
            world.AdvanceTo(world.WakeAt!.Value);
            Assert.Equal([standby], world.Stopping);
        }
        world.Stopped(standby);
        Assert.Equal(1, world.Controller.Stopped);
    }

    [Fact]
    public void OneThatNeverServesAfterItsStartIsEndedCountedAndReplacedInThePool()
    {
        var (world, pool) = Serving(1);
        world.Vanish(world.Serving[0]);
        world.Started(pool[0]);
        world.Advance(299);
        Assert.Empty(world.Terminating);
        world.Advance(1);
        Assert.Equal(pool, world.Terminating);
        Assert.Equal(1, world.Controller.Tally.NeverReady);
        world.Advance(10);
        Assert.Contains(world.Launching, l => l.OfferingName == "standby");
    }

    [Fact]
    public void AnEarlierRunsPoolIsAdoptedStoppedAndNotLaunchedTwice()
    {
        var world = World(Settings with { StandbyInstances = 2 });
        var (a, b) = (world.AddStopped("earlier-1", "standby"), world.AddStopped("earlier-2", "standby"));
        world.List();
        world.Tick(1);
        Assert.Equal(["spot"], world.Launching.Select(l => l.OfferingName));
        Assert.Equal(2, world.Controller.Stopped);
        world.Advance(100);
        Assert.Equal(0.020m, world.Ledger.Summary(world.Now).StandbyCost);
        world.Vanish(world.Serve());
        Assert.Equal([a.Id], world.Starting);
        Assert.Equal(world.Now.AddSeconds(30), world.Controller.NextReadyAt);
        Assert.True(world.Machines.ContainsKey(b.Id));
    }

    [Fact]
    public void OneThatAnEarlierRunHadStartedServesOnUntilAllIsCalm()
    {
        var world = World();
        var standby = world.Add("earlier-1", "standby");
        world.Machines[standby.Id] = standby with { State = InstanceState.Running };
        world.List();
        world.Connected(standby.Id);
        Assert.Equal([standby.Id], world.Serving);
        world.Tick(0);
        world.Advance(300);
        world.Tick(0);
        Assert.Equal([standby.Id], world.Draining);
    }

    [Fact]
    public void OneThatAnEarlierRunWasStartingStandsInToo()
    {
        var world = World();
        var standby = world.Add("earlier-1", "standby");
        world.List();
        world.Tick(1);
        world.Change(standby.Id, InstanceState.Running);
        world.Connected(standby.Id);
        Assert.Equal([standby.Id], world.Serving);
    }

    [Fact]
    public void WhatAnEarlierRunLeftServesOnWhereItsPoolStandsIn()
    {
        var world = World(Settings with { StandbyInstances = 2 });
        world.Controller.OnCapacity(world.Now, 0, double.NaN);
        world.Controller.OnCapacity(world.Now, 1, double.NaN);
        var standby = world.Add("earlier-1", "standby");
        world.Machines[standby.Id] = standby with { State = InstanceState.Running };
        world.AddStopped("earlier-2", "standby");
        for (var i = 0; i < 4; i++)
        {
            var machine = world.Add($"earlier-spot-{i}", "spot");
            world.Machines[machine.Id] = machine with { State = InstanceState.Running };
        }
        world.List();
        world.Tick(0);
        Assert.Equal((5, 0, 0), (world.Connecting.Count, world.Draining.Count, world.Terminating.Count));
    }

    [Fact]
    public void OneThatRunsAsItIsAdoptedCostsFromThenOn()
    {
        var world = World();
        var standby = new InstanceDescriptor { Id = "x", LaunchId = "earlier", OfferingName = "standby", State = InstanceState.Running, BilledFrom = world.Now.AddDays(-30) };
        world.Controller.OnListed(world.Now, world.Now, [standby]);
        Assert.Equal(0, world.Ledger.Summary(world.Now).StandbyCost);
        Assert.Equal(7.2m, world.Ledger.Summary(world.Now.AddHours(1)).StandbyCost);
    }

    [Fact]
    public void AStopThatFailedAndTookEffectIsUndoneByAStart()
    {
        // It was seen before the call failed.
        var world = World();
        world.Tick(1);
        var (spot, standby) = (world.Serve(), world.Serve());
        world.Drained(standby);
        world.Change(standby, InstanceState.Stopped);
        Assert.Equal(1, world.Controller.Stopped);
        world.Vanish(spot);
        Assert.Empty(world.Starting);
        world.Stopped(standby, well: false);
        Assert.Equal([standby], world.Starting);

        // It was not.
        world = World();
        world.Tick(1);
        (spot, standby) = (world.Serve(), world.Serve());
        world.Drained(standby);
        world.Stopped(standby, well: false);
        world.Vanish(spot);
        world.Advance(5);
        Assert.Equal([standby], world.Starting);
        Assert.Empty(world.Connecting);
        world.Resume(standby);
        Assert.Equal([standby], world.Serving);
    }

    [Fact]
    public void OneWhoseOfferingTurnsOutTooSlowMakesRoomForAnother()
    {
        var world = World(Settings, Spot, Standby, Standby with { Name = "other", ResumeDelay = TimeSpan.FromSeconds(60) });
        world.Controller.OnCapacity(world.Now, 1, double.NaN);
        world.Tick(1);
        world.Serve();
        var slow = world.Accept(Assert.Single(world.Launching));
        Assert.Equal("standby", slow.OfferingName);
        world.Change(slow.Id, InstanceState.Running);
        world.Controller.OnCapacity(world.Now, 1, 0);
        world.Connected(slow.Id);
        Assert.Equal(["other"], world.Launching.Select(l => l.OfferingName));
        world.Drained(slow.Id);
        Assert.Equal([slow.Id], world.Terminating);
    }

    [Fact]
    public void OneThatMayHaveStartedAlreadyIsPaidForOnceByTheBudget()
    {
        // A replacement and the machine at its full price are 10.8.
        var (world, pool) = Serving(1, Settings with { MaxHourlySpend = 12 });
        world.Vanish(world.Serving[0]);
        world.Started(pool[0], LaunchFailure.Unknown);
        world.Advance(10);
        Assert.Equal(pool, world.Starting);
    }

    [Fact]
    public void MoreThanThePoolIsToHaveAreEnded()
    {
        var world = World();
        world.AddStopped("earlier-1", "standby");
        var second = world.AddStopped("earlier-2", "standby");
        world.List();
        world.Tick(0);
        Assert.Equal([second.Id], world.Terminating);
        Assert.Equal(1, world.Controller.Stopped);
    }

    [Fact]
    public void AStandbyMachineThatIsStoppedByAnotherHandIsStartedAgainWhileItIsNeeded()
    {
        var (world, pool) = Serving(1);
        world.Vanish(world.Serving[0]);
        world.Resume(pool[0]);
        world.Change(pool[0], InstanceState.Stopped);
        Assert.Empty(world.Serving);
        Assert.Equal(pool, world.Starting);
    }

    [Fact]
    public void AMachineThatWasBoughtToRunAndIsStoppedByAnotherHandIsEndedAndReplaced()
    {
        var (world, pool) = Serving(1);
        var id = world.Serving[0];
        world.Change(id, InstanceState.Stopped);
        Assert.Equal([id], world.Terminating);
        Assert.Equal(pool, world.Starting);
        Assert.Equal(["spot"], world.Launching.Select(l => l.OfferingName));
    }

    [Fact]
    public void AListThatWasAskedForBeforeIsNotBelievedOfWhatHasStoppedSince()
    {
        var world = World();
        world.Tick(0);
        var standby = world.Serve();
        var old = world.Machines.Values.ToArray();
        var asked = world.Now;
        world.Advance(1);
        world.StandDown(standby);
        world.Controller.OnListed(world.Now, asked, old);
        world.Advance(0);
        world.Tick(0);
        Assert.Empty(world.Stopping);
        Assert.Equal(1, world.Controller.Stopped);
        Assert.Equal(world.Bill(), world.Ledger.Summary(world.Now).InstanceCost);
    }

    [Fact]
    public void ThePoolHasItsPlaceWithinTheMaximum()
    {
        var world = World(Settings with { MaxInstances = 4, StandbyInstances = 2 });
        world.Tick(9);
        Assert.Equal(["spot", "spot", "standby", "standby"], world.Launching.Select(l => l.OfferingName));
        // Not taken from it by a breach either.
        world.Slot(50_000, 0);
        Assert.Equal(4, world.Launching.Count);
    }

    [Fact]
    public void AStoppedMachineTakesItsStoppedPriceOfTheBudgetAndOneThatIsStartedAllOfIt()
    {
        // 3.6 + 0.36 leave room for another 3.6, not for a third, and not for 7.2 - 0.36.
        var (world, pool) = Serving(1, Settings with { MaxHourlySpend = 10.8m });
        world.Tick(3);
        Assert.Equal(["spot"], world.Launching.Select(l => l.OfferingName));
        world.Serve();
        var lost = world.Serving[0];
        world.Change(lost, InstanceState.Interrupting, world.Now.AddSeconds(120));
        Assert.Empty(world.Starting);
        Assert.Contains(world.Controller.Explanation.Bounds, b => b.Kind == PlanBoundKind.HourlySpend && b.Text.Contains("refused to start standby, 14.4", StringComparison.Ordinal));
        // Once the interrupted one is gone there is room again, for one that is planned at first.
        world.Drained(lost);
        world.Terminated(lost);
        Assert.Equal(["spot"], world.Launching.Select(l => l.OfferingName));
        Assert.Empty(world.Starting);

        (world, pool) = Serving(1, Settings with { MaxHourlySpend = 14.4m });
        world.Change(world.Serving[0], InstanceState.Interrupting, world.Now.AddSeconds(120));
        Assert.Equal(pool, world.Starting);
        Assert.Equal(14.4m, world.Controller.HourlySpend);
    }

    [Fact]
    public void ThePlannerIsNotToldOfStandbyOfferingsAndPlansWithinWhatThePoolLeaves()
    {
        var planner = new AskedPlanner();
        var world = new FleetWorld(Settings with { MaxHourlySpend = 20, MaxInstances = 5, StandbyInstances = 2 }, [Standby, Spot], planner: planner);
        world.Tick();
        Assert.Equal(["spot"], planner.Offerings);
        Assert.Equal((3, 20m), (planner.MaxInstances, planner.MaxHourlySpend));
        // Two standbys and the one that is planned.
        Assert.Equal(["spot", "standby", "standby"], world.Launching.Select(l => l.OfferingName));
        world.Tick();
        Assert.Equal(20 - 14.4m, planner.MaxHourlySpend);
    }

    private sealed class AskedPlanner : IProvisioningPlanner
    {
        public string[] Offerings { get; private set; } = [];

        public int MaxInstances { get; private set; }

        public decimal? MaxHourlySpend { get; private set; }

        public void Plan(in ProvisioningContext context, FleetPlan plan)
        {
            Offerings = [.. context.Offerings.ToArray().Select(o => o.Offering.Name)];
            (MaxInstances, MaxHourlySpend) = (context.MaxInstances, context.MaxHourlySpend);
            for (var t = 0; t < plan.Horizon; t++)
            {
                plan.Step(t)[0] = 1;
            }
        }
    }

    [Fact]
    public void ADryRunStartsAndStopsNothingAndSaysWhatItWould()
    {
        var world = World(Settings with { IsDryRun = true, StandbyInstances = 2 });
        var spot = world.Add("x", "spot");
        world.Change(spot.Id, InstanceState.Running);
        world.Connected(spot.Id);
        world.AddStopped("y", "standby");
        world.List();
        world.Tick(1);
        Assert.Equal([new PlanAction(PlanActionKind.Launch, "standby", 1)], world.Controller.Explanation.Actions);
        world.Vanish(spot.Id);
        Assert.Contains(new PlanAction(PlanActionKind.Start, "standby", 1), world.Controller.Explanation.Actions);
        world.Slot(1000, 0);
        Assert.DoesNotContain(world.Journal, j => j.Contains(" Start ", StringComparison.Ordinal) || j.Contains(" Stop ", StringComparison.Ordinal) || j.Contains(" Launch ", StringComparison.Ordinal));
    }

    [Fact]
    public void TheNextKeeperHasThePoolAndThisOneLeavesItAlone()
    {
        var world = World(Settings with { IsLeased = true });
        world.Lease(30);
        world.List();
        world.Tick(0);
        var standby = world.Serve();
        world.Drained(standby);
        // The call is under way, and its answer comes after the lease has run out.
        world.Advance(30);
        Assert.False(world.Controller.IsKeeper);
        world.Stopped(standby);
        Assert.Empty(world.Controller.Machines);
        world.Vanish(world.Add("other", "spot").Id);
        Assert.Empty(world.Starting);
        world.Lease(30);
        world.List();
        Assert.Equal(1, world.Controller.Stopped);
        world.Tick(0);
        Assert.Empty(world.Launching);
    }

    [Fact]
    public void AtTheStopThePoolIsEnded()
    {
        var (world, pool) = Serving(1, Settings with { StandbyInstances = 3 });
        world.Vanish(world.Serving[0]);
        Assert.Equal([pool[0]], world.Starting);
        world.Stop();
        Assert.Equal(pool.Order(), world.Terminating.Order());
        foreach (var id in pool)
        {
            world.Terminated(id);
        }
        while (world.Launching.Count > 0)
        {
            world.Terminated(world.Accept(world.Launching[0]).Id);
        }
        Assert.True(world.Controller.IsStopped);
        Assert.Empty(world.Machines);
    }
}
