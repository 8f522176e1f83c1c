using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>What a fleet does where its provider takes spot machines away. An instance serves 100/s.</summary>
public sealed class InterruptionTests
{
    private static readonly InstanceOffering Spot = new() { Name = "spot", Market = InstanceMarket.Spot, PricePerHour = 1, LaunchDelay = TimeSpan.FromSeconds(60), InterruptionsPerHour = 0.1 };
    private static readonly InstanceOffering OnDemand = new() { Name = "on-demand", PricePerHour = 3, LaunchDelay = TimeSpan.FromSeconds(60) };

    private static FleetWorld World(IProvisioningPlanner? planner = null, int max = 10, params InstanceOffering[] offerings) =>
        new(new FleetSettings { Fleet = "m", MinInstances = 0, MaxInstances = max }, offerings.Length == 0 ? [Spot, OnDemand] : offerings, planner: planner);

    /// <summary>Two spot machines serve what a planner that looks at prices wants.</summary>
    private static FleetWorld Serving()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 2 }, [Spot, OnDemand], planner: new GreedyPlanner());
        world.Tick();
        Assert.Equal(["spot", "spot"], world.Launching.Select(l => l.OfferingName));
        world.Serve();
        world.Serve();
        return world;
    }

    [Fact]
    public void OnANoticeAMachineGetsNothingMoreAndWhatReplacesItIsLaunchedElsewhereAtOnce()
    {
        var world = Serving();
        var id = world.Serving[0];
        world.Advance(10);
        world.Change(id, InstanceState.Interrupting, world.Now.AddSeconds(120));
        Assert.Equal([id], world.Draining);
        Assert.Equal(["on-demand"], world.Launching.Select(l => l.OfferingName));
        Assert.Equal(1, world.Controller.Tally.Interruptions);
        var hold = Assert.Single(world.Controller.Explanation.Bounds, b => b.Kind == PlanBoundKind.LaunchHold);
        Assert.Equal("spot is not launched before 2026-01-01 00:05:10Z while there is another, after an interruption", hold.Text);
        // The same news again is none.
        world.List();
        Assert.Single(world.Launching);
        Assert.Equal(1, world.Controller.Tally.Interruptions);
    }

    [Fact]
    public void SpilloverIsWarmedUpForWhatTheMachineServed()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, Spillover = new SpilloverTerms(1e-6, TimeSpan.FromSeconds(0.1)) }, [Spot, OnDemand]);
        world.Tick(1, 0);
        var id = world.Serve();
        world.Change(id, InstanceState.Interrupting, world.Now.AddSeconds(120));
        // 100/s for 0.1 s each.
        Assert.Equal([10], world.Prewarmed);
        world.Vanish(id);
        Assert.Equal([10], world.Prewarmed);
    }

    [Fact]
    public void SpilloverIsWarmedUpForAllThatGoTogether()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, Spillover = new SpilloverTerms(1e-6, TimeSpan.FromSeconds(0.1)) }, [Spot, OnDemand]);
        world.Tick(3, 0);
        string[] ids = [world.Serve(), world.Serve(), world.Serve()];
        foreach (var id in ids)
        {
            world.Change(id, InstanceState.Interrupting, world.Now.AddSeconds(120));
        }
        Assert.Equal([10, 20, 30], world.Prewarmed);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AMachineThatGoesBeforeItHasServedIsALaunchThatFailed(bool withNotice)
    {
        var world = World(offerings: Spot);
        world.Tick(1);
        for (var failures = 1; failures <= 3; failures++)
        {
            var machine = world.Accept(Assert.Single(world.Launching));
            if (withNotice)
            {
                world.Change(machine.Id, InstanceState.Interrupting, world.Now.AddSeconds(120));
                world.Terminated(machine.Id);
            }
            else
            {
                world.Vanish(machine.Id);
            }
            // Not again and again at once.
            Assert.Empty(world.Launching);
            Assert.Equal(failures, world.Controller.Tally.LaunchFailures[(int)LaunchFailure.Unknown]);
            Assert.Equal(withNotice ? failures : 0, world.Controller.Tally.Interruptions);
            world.Advance(60);
        }
    }

    [Fact]
    public void ANoticeAmongWhatAnEarlierRunLeftLetsTheOthersServeOn()
    {
        var world = World();
        world.Controller.OnCapacity(world.Now, 0, double.NaN);
        world.Controller.OnCapacity(world.Now, 1, double.NaN);
        for (var i = 0; i < 6; i++)
        {
            var machine = world.Add($"earlier-{i}", "spot");
            world.Machines[machine.Id] = machine with { State = i == 0 ? InstanceState.Interrupting : InstanceState.Running };
        }
        world.List();
        world.Tick(0, 0);
        Assert.Equal((1, 5, 0, 0), (world.Terminating.Count, world.Connecting.Count, world.Draining.Count, world.Launching.Count));
    }

    [Fact]
    public void ALossThatOnlyTheListTellsIsAnInterruptionToo()
    {
        var world = Serving();
        world.Advance(1);
        world.Machines.Remove(world.Serving[0]);
        world.List();
        Assert.Equal(1, world.Controller.Tally.Interruptions);
        Assert.Equal(["on-demand"], world.Launching.Select(l => l.OfferingName));
    }

    [Fact]
    public void AnOfferingIsNotAvoidedWhereTheOtherIsBeyondTheBudget()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 2, MaxHourlySpend = 2.9m }, [Spot, OnDemand], planner: new GreedyPlanner());
        world.Tick();
        world.Serve();
        world.Vanish(world.Serve());
        Assert.Equal(["spot"], world.Launching.Select(l => l.OfferingName));
    }

    [Fact]
    public void WhatIsDoneInTimeIsEndedAndNothingIsTakenBack()
    {
        var world = Serving();
        var id = world.Serving[0];
        world.Change(id, InstanceState.Interrupting, world.Now.AddSeconds(120));
        world.Advance(30);
        world.Drained(id);
        Assert.Equal([id], world.Terminating);
        world.Terminated(id);
        world.Advance(200);
        Assert.DoesNotContain(world.Journal, j => j.Contains(" Lose ", StringComparison.Ordinal));
    }

    [Fact]
    public void WhatIsStillInFlightIsTakenBackJustBeforeTheMachineGoes()
    {
        var world = Serving();
        var id = world.Serving[0];
        world.Change(id, InstanceState.Interrupting, world.Now.AddSeconds(120));
        world.Advance(117);
        Assert.Equal([id], world.Draining);
        world.Advance(1);
        Assert.Empty(world.Draining);
        Assert.Contains(world.Journal, j => j.StartsWith($"118 Lose {id}", StringComparison.Ordinal));
        Assert.Equal([id], world.Terminating);
        world.Vanish(id);
        Assert.Equal(world.Bill(), world.Ledger.Summary(world.Now).InstanceCost);
    }

    [Fact]
    public void ANoticeThatComesTooLateOrSaysNoInstantLosesNothingMoreThanItMust()
    {
        var world = Serving();
        var id = world.Serving[0];
        world.Change(id, InstanceState.Interrupting, DateTimeOffset.MinValue);
        world.Advance(0);
        Assert.Equal([id], world.Terminating);

        world = Serving();
        id = world.Serving[0];
        world.Change(id, InstanceState.Interrupting);
        world.Advance(600);
        Assert.Equal([id], world.Draining);
        world.Change(id, InstanceState.Interrupting, world.Now.AddSeconds(10));
        world.Advance(8);
        Assert.Equal([id], world.Terminating);
    }

    [Fact]
    public void AMachineThatIsInterruptedWhileItIsConnectedIsNotUsed()
    {
        var world = World();
        world.Tick(1);
        var machine = world.Accept(world.Launching[0]);
        world.Change(machine.Id, InstanceState.Running);
        world.Change(machine.Id, InstanceState.Interrupting, world.Now.AddSeconds(120));
        world.Advance(118);
        Assert.Empty(world.Connecting);
        Assert.Equal([machine.Id], world.Terminating);
    }

    [Fact]
    public void ASpotMachineThatIsLostWithoutANoticeIsReplacedElsewhereAtOnceToo()
    {
        var world = Serving();
        world.Vanish(world.Serving[0]);
        Assert.Equal(["on-demand"], world.Launching.Select(l => l.OfferingName));
        Assert.Equal(1, world.Controller.Tally.Interruptions);
    }

    [Fact]
    public void AnOnDemandMachineThatIsLostIsReplacedByItsLike()
    {
        var world = World(offerings: OnDemand);
        world.Tick(1);
        world.Vanish(world.Serve());
        Assert.Equal(["on-demand"], world.Launching.Select(l => l.OfferingName));
        Assert.Equal(0, world.Controller.Tally.Interruptions);
        Assert.DoesNotContain(world.Controller.Explanation.Bounds, b => b.Kind == PlanBoundKind.LaunchHold);
    }

    [Fact]
    public void AnInterruptedOfferingIsACandidateAgainWhenItsHoldIsOver()
    {
        var world = Serving();
        world.Change(world.Serving[0], InstanceState.Interrupting, world.Now.AddSeconds(120));
        world.Serve();
        world.Advance(299);
        Assert.Contains(world.Controller.Explanation.Bounds, b => b.Kind == PlanBoundKind.LaunchHold);
        world.Advance(1);
        Assert.DoesNotContain(world.Controller.Explanation.Bounds, b => b.Kind == PlanBoundKind.LaunchHold);
    }

    [Fact]
    public void WhereThereIsNoOtherTheInterruptedOfferingIsTriedAllTheSame()
    {
        var world = World(new GreedyPlanner(), offerings: Spot);
        world.Tick();
        world.Change(world.Serve(), InstanceState.Interrupting, world.Now.AddSeconds(120));
        Assert.Equal(["spot"], world.Launching.Select(l => l.OfferingName));
    }

    [Fact]
    public void WhereTheOtherCannotBeHadEitherTheInterruptedOfferingIsTriedAgain()
    {
        var world = Serving();
        world.Change(world.Serving[0], InstanceState.Interrupting, world.Now.AddSeconds(120));
        world.FailLaunch(Assert.Single(world.Launching), LaunchFailure.InsufficientCapacity);
        Assert.Equal(["spot"], world.Launching.Select(l => l.OfferingName));
    }

    [Fact]
    public void WhereSpotIsUnavailableTheFleetFallsBackToOnDemandAndReturnsLater()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 2 }, [Spot, OnDemand], planner: new GreedyPlanner());
        world.Tick();
        foreach (var launch in world.Launching.ToArray())
        {
            world.FailLaunch(launch, LaunchFailure.InsufficientCapacity);
        }
        Assert.Equal(["on-demand", "on-demand"], world.Launching.Select(l => l.OfferingName));
        world.Serve();
        world.Serve();
        // Cheaper ones are had in their place as soon as they may be launched again.
        world.Advance(60);
        Assert.Equal(["spot", "spot"], world.Launching.Select(l => l.OfferingName));
    }

    [Fact]
    public void ADryRunDrainsNoInterruptedMachine()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, IsDryRun = true }, [Spot, OnDemand]);
        var machine = world.Add("x", "spot");
        world.Change(machine.Id, InstanceState.Running);
        world.Connected(machine.Id);
        world.Tick(1, 0);
        world.Change(machine.Id, InstanceState.Interrupting, world.Now.AddSeconds(120));
        world.Advance(200);
        Assert.Equal([machine.Id], world.Serving);
        world.Vanish(machine.Id);
        Assert.Empty(world.Serving);
        Assert.Empty(world.Launching);
    }
}
