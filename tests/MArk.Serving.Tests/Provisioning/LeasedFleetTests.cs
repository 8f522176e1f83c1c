using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>A host that does not hold its fleet's lease launches and ends nothing.</summary>
public sealed class LeasedFleetTests
{
    private static readonly InstanceOffering A = new() { Name = "a", PricePerHour = 3.6m, LaunchDelay = TimeSpan.FromSeconds(60) };

    private static FleetWorld World() => new(new FleetSettings { Fleet = "m", MinInstances = 0, MaxInstances = 10, IsLeased = true }, [A]);

    /// <summary>A world in which this host keeps the fleet, for half a minute, and a machine serves.</summary>
    private static (FleetWorld World, string Machine) Serving()
    {
        var world = World();
        world.Tick(1);
        world.Lease(30);
        world.List();
        return (world, world.Serve());
    }

    [Fact]
    public void NothingIsLaunchedBeforeTheLeaseIsHeldAndWhatThereIsWasListed()
    {
        var world = World();
        world.Tick(1);
        world.List();
        Assert.Empty(world.Launching);
        Assert.False(world.Controller.IsKeeper);
        world.Lease(30);
        Assert.True(world.Controller.IsKeeper);
        Assert.True(world.IsListWanted);
        world.Tick(1);
        Assert.Empty(world.Launching);
        // A list that was asked for before may miss what the last keeper has launched since.
        world.List(world.Now.AddSeconds(-1));
        Assert.Empty(world.Launching);
        world.List();
        Assert.Single(world.Launching);
    }

    [Theory]
    [InlineData("standby", InstanceState.Running)]
    [InlineData("standby", InstanceState.Interrupting)]
    [InlineData("a", InstanceState.Stopped)]
    [InlineData("a", InstanceState.Interrupting)]
    public void NewsThatComeAfterTheLeaseHasRunOutMoveNothing(string offering, InstanceState state)
    {
        var standby = new InstanceOffering { Name = "standby", Market = InstanceMarket.Standby, PricePerHour = 1, LaunchDelay = TimeSpan.FromSeconds(60) };
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, MaxInstances = 10, StandbyInstances = 1, IsLeased = true }, [A, standby]);
        world.Tick(1);
        world.Lease(30);
        world.List();
        world.Serve();
        world.StandDown(world.Serve());
        // The host was paused, and hears of it before its timer says that the lease has run out.
        world.Controller.OnInstanceChanged(world.Now.AddSeconds(31), world.Machines.Values.Single(m => m.OfferingName == offering) with { State = state });
        while (world.Controller.TryTakeCommand(out var command))
        {
            Assert.DoesNotContain(command.Kind, new[] { FleetCommandKind.Launch, FleetCommandKind.Terminate, FleetCommandKind.Stop, FleetCommandKind.Start });
        }
        Assert.False(world.Controller.IsKeeper);
    }

    [Fact]
    public void WhatTheLastKeeperLaunchedIsAdopted()
    {
        var world = World();
        var left = world.Add("other-1", "a");
        world.List();
        Assert.Empty(world.Controller.Machines);
        world.Lease(30);
        world.List();
        Assert.Equal([left.Id], world.Controller.Machines);
        world.Tick(1);
        Assert.Empty(world.Launching);
    }

    [Fact]
    public void WhenTheLeaseRunsOutUnheardTheMachinesFinishWhatTheyHaveAndAreLeftToTheNextKeeper()
    {
        var (world, machine) = Serving();
        world.Tick(2);
        var launch = Assert.Single(world.Launching);
        world.Advance(29);
        Assert.Equal([machine], world.Serving);
        world.Advance(1);
        Assert.False(world.Controller.IsKeeper);
        Assert.Equal([machine], world.Draining);
        Assert.Equal(0.03m, world.Ledger.Summary(world.Now.AddHours(1)).Total);
        // A launch that is answered now is the next keeper's too.
        world.Accept(launch);
        Assert.Equal([machine], world.Controller.Machines);
        world.Drained(machine);
        Assert.Empty(world.Controller.Machines);
        Assert.Empty(world.Terminating);
        Assert.Equal(2, world.Machines.Count);
    }

    [Fact]
    public void AskedForAgainInTimeItIsKept()
    {
        var (world, machine) = Serving();
        for (var i = 0; i < 10; i++)
        {
            world.Advance(20);
            world.Lease(30);
        }
        Assert.Equal([machine], world.Serving);
        Assert.DoesNotContain(world.Journal, j => j.Contains("Drain", StringComparison.Ordinal));
    }

    [Fact]
    public void AnotherHostsAnswerEndsItAtOnce()
    {
        var (world, machine) = Serving();
        world.Lease(0);
        Assert.Equal([machine], world.Draining);
        world.Tick(3);
        world.Advance(600);
        world.List();
        Assert.Empty(world.Launching);
        Assert.Empty(world.Terminating);
    }

    [Fact]
    public void WhoKeepsTheFleetAgainHasItsMachinesAgain()
    {
        var (world, machine) = Serving();
        world.Lease(0);
        world.Drained(machine);
        world.Advance(60);
        world.Lease(30);
        world.List();
        world.Change(machine, InstanceState.Running);
        world.Connected(machine);
        Assert.Equal([machine], world.Serving);
        Assert.Empty(world.Launching);
        // A tenth of a cent a second, and not for the minute in which another host kept it.
        world.Advance(20);
        Assert.Equal(0.02m, world.Ledger.Summary(world.Now).Total);
    }

    [Fact]
    public void OneThatDrainsStillWhenTheFleetIsKeptAgainIsHadAgainAfterwards()
    {
        var (world, machine) = Serving();
        world.Lease(0);
        world.Lease(30);
        world.List();
        Assert.Equal([machine], world.Draining);
        world.Drained(machine);
        Assert.Empty(world.Terminating);
        world.List();
        Assert.Contains(machine, world.Controller.Machines);
    }

    [Fact]
    public void AHandedOverMachineThatGoesCannotFinishWhatItHas()
    {
        var (world, machine) = Serving();
        world.Lease(0);
        world.Vanish(machine);
        Assert.Empty(world.Draining);
        Assert.Empty(world.Controller.Machines);

        (world, machine) = Serving();
        world.Lease(0);
        world.Machines.Remove(machine);
        world.Advance(1);
        world.List();
        Assert.Empty(world.Draining);
        Assert.Empty(world.Controller.Machines);
    }

    [Fact]
    public void WhatAHandedOverMachineHasIsTakenBackBeforeItsProviderTakesItAway()
    {
        var (world, machine) = Serving();
        world.Lease(0);
        world.Change(machine, InstanceState.Interrupting, world.Now.AddSeconds(120));
        world.Advance(117);
        Assert.Equal([machine], world.Draining);
        world.Advance(1);
        Assert.Empty(world.Draining);
        Assert.Empty(world.Controller.Machines);
        Assert.Empty(world.Terminating);
        Assert.Empty(world.Launching);
    }

    [Fact]
    public void AStopEndsNothingThatAnotherHostKeeps()
    {
        var world = World();
        world.Add("other-1", "a");
        world.List();
        world.Stop();
        Assert.True(world.Controller.IsStopped);

        (world, _) = Serving();
        world.Lease(0);
        world.Stop();
        world.StopDeadline();
        Assert.True(world.Controller.IsStopped);
        Assert.Empty(world.Terminating);
        Assert.Empty(world.Draining);
    }

    [Fact]
    public void AMachineThatIsBeingConnectedIsNotUsedOnceTheFleetIsAnothers()
    {
        var world = World();
        world.Lease(30);
        world.List();
        world.Tick(1);
        var machine = world.Accept(world.Launching[0]);
        world.Change(machine.Id, InstanceState.Running);
        world.Lease(0);
        world.Connected(machine.Id);
        Assert.Empty(world.Serving);
        Assert.Empty(world.Controller.Machines);
        Assert.Empty(world.Terminating);
    }
}
