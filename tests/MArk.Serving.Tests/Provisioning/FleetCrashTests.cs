using CsCheck;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>The process may die at any provider call: started again, it finds its machines, leaks none, launches none twice, and the fleet is as planned.</summary>
public sealed class FleetCrashTests
{
    private const int Max = 6;

    private static readonly InstanceOffering[] Offerings =
    [
        new() { Name = "a", PricePerHour = 1, LaunchDelay = TimeSpan.FromSeconds(30) },
        new() { Name = "b", PricePerHour = 2, LaunchDelay = TimeSpan.FromSeconds(45), MaxInstances = 2 },
    ];

    private static readonly Crashes Crashes = new(Run, Max, CheckConverged);

    private static int[] Wanted(DateTimeOffset now) => (now - CrashWorld.Start).TotalSeconds switch
    {
        < 300 => [2, 1],
        < 900 => [4, 2],
        _ => [1, 1],
    };

    /// <summary>A day's worth of trouble in an hour: a launch in want of capacity, one that is never answered, one that never runs, an interruption, a loss.</summary>
    private static CrashWorld Run(Dictionary<int, CrashEffect> crashes)
    {
        CrashWorld world = null!;
        world = new CrashWorld(new FleetSettings { Fleet = "m", MaxInstances = Max, ReadyTimeout = TimeSpan.FromSeconds(120), MaxHourlySpend = 8 }, Offerings, Wanted, crashes)
        {
            Fails = request => request.OfferingName == "a" && world.Now < CrashWorld.Start.AddSeconds(8) ? LaunchFailure.InsufficientCapacity : null,
            IsUnanswered = machine => machine.Id == "i-2",
            IsStuck = machine => machine.Id == "i-6",
        };
        world.At(500, () => world.Change("i-3", InstanceState.Interrupting));
        world.At(620, () => world.Change("i-3", InstanceState.Terminated));
        world.At(700, () => world.Change("i-5", InstanceState.Terminated));
        world.CalmFrom = CrashWorld.Start.AddSeconds(1500);
        world.RunUntil(2400);
        return world;
    }

    private static void CheckConverged(CrashWorld world)
    {
        Assert.Equal(["a", "b"], world.Machines.Select(m => m.OfferingName).Order());
        Assert.Equal(world.Machines.Select(m => m.Id).Order(), world.Controller.Machines.Order());
        Assert.Equal((2, 0, 0), (world.Controller.Ready, world.Controller.Launching, world.Controller.Draining));
        world.Stop();
        world.RunUntil(2500);
        Assert.True(world.Controller.IsStopped);
        Assert.Empty(world.Machines);
    }

    [Fact]
    public void WithoutACrashTheScriptBringsEveryTrouble()
    {
        var world = Run([]);
        var tally = world.Controller.Tally;
        // Launches of "a" fail for want of capacity; i-2 is not answered, and i-6 does not run.
        Assert.Equal((4L, 2L, 1L), (tally.LaunchFailures[(int)LaunchFailure.InsufficientCapacity], tally.LaunchFailures[(int)LaunchFailure.Unknown], tally.NeverReady));
        Assert.Equal(Max, world.MostMachines);
        CheckConverged(world);
    }

    [Theory]
    [InlineData(CrashEffect.None)]
    [InlineData(CrashEffect.Done)]
    [InlineData(CrashEffect.DoneLate)]
    public void AfterACrashAtAnyProviderCallNoMachineIsLeakedOrLaunchedTwiceAndTheFleetIsAsPlanned(CrashEffect effect)
    {
        var calls = Crashes.AtEachCall(effect);
        Assert.True(calls > 40, $"{calls} calls");
    }

    [Fact]
    public void AfterCrashesInARowItIsSoToo() => Provisioning.Crashes.Gen(120).Sample(Crashes.Check, iter: 300);
}
