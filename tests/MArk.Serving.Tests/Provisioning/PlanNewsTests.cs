using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>What a plan's explanation tells, and when it is news.</summary>
public sealed class PlanNewsTests
{
    private static readonly InstanceOffering A = new() { Name = "a", PricePerHour = 1, LaunchDelay = TimeSpan.FromSeconds(60) };

    [Fact]
    public void APlanIsToldWhenItIsAnotherAndSaysWhatIsDone()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, ScaleInCooldown = TimeSpan.FromMinutes(2) }, [A]);
        world.Tick(2);
        Assert.Equal([new PlanAction(PlanActionKind.Launch, "a", 2)], world.Explained[^1].Actions);
        Assert.Contains("launch 2 x a", world.Explained[^1].ToString());
        world.Serve();
        world.Serve();
        var told = world.Explained.Count;
        world.Advance(60);
        world.Tick(2);
        Assert.Equal(told, world.Explained.Count);
        Assert.Empty(world.Controller.Explanation.Actions);
        world.Advance(60);
        world.Tick(1);
        Assert.Equal([PlanBoundKind.Cooldown], world.Explained[told].Bounds.Select(b => b.Kind));
        world.Advance(121);
        world.Tick(1);
        Assert.Equal([new PlanAction(PlanActionKind.LetGo, "a", 1)], world.Explained[^1].Actions);
        Assert.Equal(1, world.Controller.Tally.Bounds[(int)PlanBoundKind.Cooldown]);
    }
}
