using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>What a fleet does where launches fail, hang, or end in doubt.</summary>
public sealed class LaunchFailureTests
{
    private static readonly InstanceOffering Cheap = new() { Name = "cheap", PricePerHour = 1, LaunchDelay = TimeSpan.FromSeconds(60) };
    private static readonly InstanceOffering Dear = new() { Name = "dear", PricePerHour = 2, LaunchDelay = TimeSpan.FromSeconds(60) };

    private static FleetWorld World(IProvisioningPlanner? planner = null, TimeSpan? readyTimeout = null, int min = 1, int max = 10, params InstanceOffering[] offerings) =>
        new(new FleetSettings { Fleet = "m", MinInstances = min, MaxInstances = max, ReadyTimeout = readyTimeout }, offerings.Length == 0 ? [Cheap, Dear] : offerings, null, planner);

    public static TheoryData<string> Planners => new("greedy", "cost optimal");

    private static IProvisioningPlanner Planner(string name) => name == "greedy" ? new GreedyPlanner() : new CostOptimalPlanner();

    [Theory, MemberData(nameof(Planners))]
    public void ALaunchThatFailsForCapacityIsMadeUpForByTheNextBestTypeAtOnce(string planner)
    {
        var world = World(Planner(planner), min: 2);
        world.Tick();
        Assert.Equal(["cheap", "cheap"], world.Launching.Select(l => l.OfferingName));
        var kept = world.Serve();
        world.FailLaunch(world.Launching[0], LaunchFailure.InsufficientCapacity);
        // What there is of it is kept; the other comes from elsewhere, without waiting for the next plan.
        Assert.Equal(["dear"], world.Launching.Select(l => l.OfferingName));
        Assert.Equal([kept], world.Serving);
        Assert.Contains(world.Controller.Explanation.Bounds, b => b.Kind == PlanBoundKind.LaunchHold && b.Text.StartsWith("cheap is not launched before", StringComparison.Ordinal));
        Assert.Equal(1, world.Controller.Tally.LaunchFailures[(int)LaunchFailure.InsufficientCapacity]);
    }

    [Theory, MemberData(nameof(Planners))]
    public void WhenTheHoldIsOverTheOfferingIsACandidateAgainAtOnce(string planner)
    {
        var world = World(Planner(planner), offerings: [Cheap with { MaxInstances = 1 }, Dear with { MaxInstances = 0 }]);
        world.Tick();
        world.FailLaunch(Assert.Single(world.Launching), LaunchFailure.QuotaExceeded);
        Assert.Empty(world.Launching);
        world.AdvanceTo(world.WakeAt!.Value);
        Assert.Equal("cheap", Assert.Single(world.Launching).OfferingName);
    }

    [Fact]
    public void LaunchesThatFailTogetherAreOneFailureForTheBackOff()
    {
        var world = World(offerings: Cheap);
        world.Tick(5);
        foreach (var launch in world.Launching.ToArray())
        {
            world.FailLaunch(launch, LaunchFailure.InsufficientCapacity);
        }
        Assert.InRange((world.WakeAt!.Value - world.Now).TotalSeconds, 2.5, 5);
        Assert.Equal(5, world.Controller.Tally.LaunchFailures[(int)LaunchFailure.InsufficientCapacity]);
    }

    [Fact]
    public void AThrottledCallHoldsEveryLaunchForAWhileAndChangesNoPlan()
    {
        var world = World();
        world.Tick(1, 0);
        world.FailLaunch(world.Launching[0], LaunchFailure.Throttled);
        world.Tick(1, 1);
        Assert.Empty(world.Launching);
        Assert.DoesNotContain(world.Controller.Explanation.Bounds, b => b.Kind == PlanBoundKind.LaunchHold);
        Assert.InRange((world.WakeAt!.Value - world.Now).TotalSeconds, 2.5, 5);
        world.AdvanceTo(world.WakeAt.Value);
        Assert.Equal(["cheap", "dear"], world.Launching.Select(l => l.OfferingName));
    }

    [Fact]
    public void AnUnmeasuredTypeThatCannotBeHadGivesWayToAnother()
    {
        var controller = new FleetController(new FleetSettings { Fleet = "m" }, [Cheap, Dear], new FlatPredictor(), new GreedyPlanner(), new CostLedger());
        controller.OnTick(FleetWorld.Start);
        Assert.True(controller.TryTakeCommand(out var command));
        Assert.Equal("cheap", command.Launch!.OfferingName);
        controller.OnLaunchFailed(FleetWorld.Start, command.Launch.LaunchId, LaunchFailure.InsufficientCapacity);
        while (command.Launch?.OfferingName != "dear")
        {
            Assert.True(controller.TryTakeCommand(out command), "no other was launched");
        }
    }

    [Theory]
    [InlineData(InstanceState.Pending)]
    [InlineData(InstanceState.Running)]
    public void AMachineThatNeverServesIsEndedCountedAndReplacedElsewhere(InstanceState state)
    {
        var world = World(new GreedyPlanner());
        world.Tick();
        var machine = world.Accept(world.Launching[0]);
        if (state == InstanceState.Running)
        {
            world.Change(machine.Id, state);
        }
        // Three times the launch delay is less than the floor of five minutes.
        world.Advance(299);
        Assert.Empty(world.Terminating);
        world.Advance(1);
        Assert.Equal([machine.Id], world.Terminating);
        Assert.Empty(world.Connecting);
        Assert.Equal((1L, 1L), (world.Controller.Tally.NeverReady, world.Controller.Tally.LaunchFailures[(int)LaunchFailure.Unknown]));
        Assert.Equal("dear", Assert.Single(world.Launching).OfferingName);
        // Ended once, however long ending it takes.
        world.Advance(1000);
        Assert.Equal([machine.Id], world.Terminating);
    }

    [Fact]
    public void HowLongAMachineMayTakeFollowsFromItsLaunchDelayOrIsSet()
    {
        var slow = Cheap with { LaunchDelay = TimeSpan.FromMinutes(10) };
        Assert.Equal(TimeSpan.FromMinutes(30), GivenUpAfter(World(offerings: slow)));
        Assert.Equal(TimeSpan.FromMinutes(7), GivenUpAfter(World(readyTimeout: TimeSpan.FromMinutes(7), offerings: slow)));

        static TimeSpan GivenUpAfter(FleetWorld world)
        {
            world.Tick(1);
            world.Accept(world.Launching[0]);
            while (world.Controller.Tally.NeverReady == 0)
            {
                world.AdvanceTo(world.WakeAt!.Value);
            }
            return world.Now - FleetWorld.Start;
        }
    }

    [Fact]
    public void ALaunchCallThatIsNeverAnsweredIsGivenUpAndItsMachineAdoptedIfItComes()
    {
        var world = World(offerings: Cheap);
        world.Tick(1);
        var hung = world.Launching[0];
        world.Advance(300);
        Assert.Equal((0, 1L), (world.Controller.Launching, world.Controller.Tally.NeverReady));
        world.AdvanceTo(world.WakeAt!.Value);
        Assert.Equal([hung.LaunchId, "m-2"], world.Launching.Select(l => l.LaunchId));
        var late = world.Accept(hung);
        Assert.Equal((2, 1), (world.Controller.Launching, world.Controller.Launched));
        // It has its own time to serve, from when it came.
        world.Advance(100);
        Assert.Empty(world.Terminating);
        world.Change(late.Id, InstanceState.Running);
        world.Connected(late.Id);
        Assert.Equal([late.Id], world.Serving);
    }

    [Fact]
    public void ALaunchInDoubtCountsAgainstTheMaximumUntilAListTellsThatItDidNotCome()
    {
        var world = World(max: 1, offerings: Cheap);
        world.Tick(1);
        world.Advance(1);
        var asked = world.Now;
        world.Advance(1);
        world.FailLaunch(world.Launching[0], LaunchFailure.Unknown);
        world.Advance(10);
        Assert.Empty(world.Launching);
        // Asked for before the call ended: it may not be in it yet.
        world.List(asked);
        Assert.Empty(world.Launching);
        world.List();
        Assert.Single(world.Launching);
    }

    [Fact]
    public void AStopAsksWhetherALaunchInDoubtCameAndEndsIt()
    {
        var world = World(offerings: Cheap);
        world.Tick(1);
        var launch = world.Launching[0];
        world.FailLaunch(launch, LaunchFailure.Unknown);
        var machine = world.Add(launch.LaunchId, "cheap");
        world.Stop();
        Assert.True(world.IsListWanted);
        Assert.False(world.Controller.IsStopped);
        world.List();
        Assert.Equal([machine.Id], world.Terminating);
        world.Terminated(machine.Id);
        Assert.True(world.Controller.IsStopped);
    }

    [Fact]
    public void AStopLaunchesNothingInPlaceOfALaunchInDoubtThatDidNotCome()
    {
        var world = World(offerings: Cheap);
        world.Tick(1);
        world.FailLaunch(world.Launching[0], LaunchFailure.Unknown);
        world.Stop();
        world.Advance(60);
        world.List();
        Assert.Empty(world.Launching);
        Assert.True(world.Controller.IsStopped);
    }

    [Fact]
    public void WhatAnEarlierRunHasLeftIsLetGoByTheCoolDownAndNotAtTheFirstPlan()
    {
        var world = World(offerings: Cheap);
        foreach (var id in (string[])["i", "j"])
        {
            var old = world.Add($"earlier-{id}", "cheap");
            world.Machines[old.Id] = old with { State = InstanceState.Running };
        }
        world.List();
        foreach (var id in world.Connecting.ToArray())
        {
            world.Connected(id);
        }
        for (var minute = 0; minute <= 5; minute++)
        {
            world.Tick(1);
            Assert.Empty(world.Draining);
            world.Advance(60);
        }
        world.Tick(1);
        Assert.Single(world.Draining);
    }
}
