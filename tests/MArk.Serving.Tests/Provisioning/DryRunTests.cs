using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>A dry run plans and tells, and touches no machine.</summary>
public sealed class DryRunTests
{
    private static readonly InstanceOffering A = new() { Name = "a", PricePerHour = 1, LaunchDelay = TimeSpan.FromSeconds(60) };

    private static FleetWorld World(int max = 10, decimal? budget = null) => new(new FleetSettings { Fleet = "m", MinInstances = 0, MaxInstances = max, MaxHourlySpend = budget, IsDryRun = true }, [A]);

    [Fact]
    public void ItSaysWhatItWouldHaveLaunchedWithinTheGuardRailsAndLaunchesNothing()
    {
        var world = World(max: 5, budget: 3);
        world.Tick(4);
        Assert.Empty(world.Launching);
        Assert.Equal((0, 0), (world.Controller.Ready, world.Controller.Launching));
        var explanation = world.Controller.Explanation;
        Assert.True(explanation.IsDryRun);
        Assert.Equal([new PlanAction(PlanActionKind.Launch, "a", 3)], explanation.Actions);
        Assert.Equal([PlanBoundKind.HourlySpend], explanation.Bounds.Select(b => b.Kind));
        Assert.Contains("dry run, would launch 3 x a", explanation.ToString());
        // The same again is no news.
        world.Advance(60);
        world.Tick(4);
        Assert.Single(world.Explained);
        Assert.Equal(3, Assert.Single(world.Controller.Explanation.Actions).Count);
    }

    [Fact]
    public void MachinesThatThereAreServeAndAreNeitherDrainedNorEnded()
    {
        var world = World();
        foreach (var name in (string[])["x", "y"])
        {
            var machine = world.Add(name, "a");
            world.Machines[machine.Id] = machine with { State = InstanceState.Running };
        }
        world.List();
        foreach (var id in world.Connecting.ToArray())
        {
            world.Connected(id);
        }
        world.Tick(0);
        world.Advance(301);
        world.Tick(0);
        Assert.Equal([new PlanAction(PlanActionKind.LetGo, "a", 2)], world.Controller.Explanation.Actions);
        Assert.Equal(2, world.Serving.Count);
        world.Stop();
        Assert.True(world.Controller.IsStopped);
        Assert.Equal(2, world.Serving.Count);
    }

    [Fact]
    public void ABreachLaunchesNothingEither()
    {
        var world = World();
        world.Tick(1);
        world.Slot(1000, 10);
        Assert.Empty(world.Launching);
        Assert.Equal([new PlanAction(PlanActionKind.Launch, "a", 2)], world.Controller.Explanation.Actions);
    }
}
