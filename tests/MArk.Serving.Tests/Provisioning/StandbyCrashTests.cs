using CsCheck;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>
/// The process may die at any provider call, those that stop and start standby machines among them: started again, it finds its pool stopped or not, launches it no second time,
/// and in the end the fleet is as planned and the pool is stopped.
/// </summary>
public sealed class StandbyCrashTests
{
    private const int Max = 8;

    private static readonly InstanceOffering[] Offerings =
    [
        new() { Name = "spot", Market = InstanceMarket.Spot, PricePerHour = 1, LaunchDelay = TimeSpan.FromSeconds(30), InterruptionsPerHour = 0.5 },
        new() { Name = "on-demand", PricePerHour = 2, LaunchDelay = TimeSpan.FromSeconds(45), MaxInstances = 2 },
        new()
        {
            Name = "standby", Market = InstanceMarket.Standby, PricePerHour = 1.5m, StoppedPricePerHour = 0.1m, LaunchDelay = TimeSpan.FromSeconds(40), ResumeDelay = TimeSpan.FromSeconds(15),
        },
    ];

    private static readonly Crashes Crashes = new(Run, Max, CheckConverged);

    private static int[] Wanted(DateTimeOffset now) => (now - CrashWorld.Start).TotalSeconds switch
    {
        < 300 => [2, 1],
        < 1200 => [3, 1],
        _ => [1, 1],
    };

    /// <summary>A notice and what follows, a sudden loss, a standby machine that is stopped by another hand, and one that is lost.</summary>
    private static CrashWorld Run(Dictionary<int, CrashEffect> crashes)
    {
        var world = new CrashWorld(new FleetSettings { Fleet = "m", MaxInstances = Max, StandbyInstances = 2, ReadyTimeout = TimeSpan.FromSeconds(120) }, Offerings, Wanted, crashes);
        world.At(400, () => Any(world, "spot", InstanceState.Running, id =>
        {
            world.Change(id, InstanceState.Interrupting, interruptedIn: 120);
            world.At(520, () => world.Change(id, InstanceState.Terminated));
        }));
        world.At(700, () => Any(world, "spot", InstanceState.Running, id => world.Change(id, InstanceState.Terminated)));
        world.At(730, () => Any(world, "standby", InstanceState.Running, id => world.Change(id, InstanceState.Stopped)));
        world.At(1420, () => Any(world, "standby", InstanceState.Stopped, id => world.Change(id, InstanceState.Terminated)));
        world.CalmFrom = CrashWorld.Start.AddSeconds(1500);
        world.RunUntil(2700);
        return world;
    }

    private static void Any(CrashWorld world, string offering, InstanceState state, Action<string> what)
    {
        if (world.Machines.Where(m => m.OfferingName == offering && m.State == state).Select(m => m.Id).Order().FirstOrDefault() is { } id)
        {
            what(id);
        }
    }

    private static void CheckConverged(CrashWorld world)
    {
        Assert.Equal(["on-demand Running", "spot Running", "standby Stopped", "standby Stopped"], world.Machines.Select(m => $"{m.OfferingName} {m.State}").Order());
        Assert.Equal(world.Machines.Select(m => m.Id).Order(), world.Controller.Machines.Order());
        Assert.Equal((2, 0, 0, 2), (world.Controller.Ready, world.Controller.Launching, world.Controller.Draining, world.Controller.Stopped));
        world.Stop();
        world.RunUntil(2800);
        Assert.True(world.Controller.IsStopped);
        Assert.Empty(world.Machines);
    }

    [Fact]
    public void WithoutACrashTheScriptStopsAndStartsMachines()
    {
        var world = Run([]);
        // The pool after its launch, again after the interruption and the loss, and the one in place of that which was lost.
        Assert.True(world.Starts >= 3, $"{world.Starts} starts");
        Assert.True(world.Stops >= 5, $"{world.Stops} stops");
        Assert.True(world.MostMachines <= Max, $"{world.MostMachines} machines at a time");
        CheckConverged(world);
    }

    [Theory]
    [InlineData(CrashEffect.None)]
    [InlineData(CrashEffect.Done)]
    [InlineData(CrashEffect.DoneLate)]
    public void AfterACrashAtAnyProviderCallThePoolIsThereOnceAndStoppedAndTheFleetIsAsPlanned(CrashEffect effect)
    {
        Crashes.AtEachCall(effect);
    }

    [Fact]
    public void AfterCrashesInARowItIsSoToo() => Provisioning.Crashes.Gen(150).Sample(Crashes.Check, iter: 300);
}
