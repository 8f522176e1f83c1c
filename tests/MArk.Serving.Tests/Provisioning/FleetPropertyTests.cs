using CsCheck;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>The fleet's invariants, over random sequences of plans and of what providers do. A failure prints the seed and the shrunk sequence.</summary>
public sealed class FleetPropertyTests
{
    internal readonly record struct Step(int Kind, int A, int B);

    private static readonly Gen<(int Max, int Cap, Step[] Steps)> GenRun = Gen.Select(
        Gen.Int[0, 6], Gen.Int[0, 3], Gen.Select(Gen.Int[0, 99], Gen.Int[0, 1000], Gen.Int[0, 1000], (k, a, b) => new Step(k, a, b)).Array[0, 150]);

    private static FleetWorld Run(int max, int cap, Step[] steps, bool adopt = false)
    {
        InstanceOffering[] offerings =
        [
            new() { Name = "a", PricePerHour = 3.6m, MinimumBilling = TimeSpan.FromSeconds(60), LaunchDelay = TimeSpan.FromSeconds(30), MaxInstances = cap + 1 },
            new() { Name = "b", PricePerHour = 1.8m, LaunchDelay = TimeSpan.FromSeconds(90) },
        ];
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MaxInstances = max, Seed = 7, ScaleInCooldown = TimeSpan.FromSeconds(120) }, offerings);
        foreach (var step in steps)
        {
            Play(world, step, adopt);
            if (!adopt)
            {
                var named = world.Machines.Values.Select(m => m.LaunchId).ToHashSet();
                var coming = world.Launching.Count(l => !named.Contains(l.LaunchId));
                Assert.True(world.Machines.Count + coming <= max, $"{world.Machines.Count} machines and {coming} launches; the maximum is {max}");
                Assert.True(world.Machines.Values.Count(m => m.OfferingName == "a") + world.Launching.Count(l => l.OfferingName == "a" && !named.Contains(l.LaunchId)) <= cap + 1);
            }
            if (!HasUnseen(world))
            {
                Assert.Equal(world.Bill(), world.Ledger.Summary(world.Now).InstanceCost);
            }
        }
        return world;
    }

    // The controller cannot know of a machine whose launch call has not been answered yet.
    private static bool HasUnseen(FleetWorld world) => world.Machines.Values.Any(m => world.Launching.Any(l => l.LaunchId == m.LaunchId));

    private static void Play(FleetWorld world, Step step, bool adopt)
    {
        var running = world.Machines.Keys.Order().ToList();
        switch (step.Kind)
        {
            case < 20:
                world.Tick(step.A % 5, step.B % 5);
                break;
            case < 30:
                world.Advance(step.A % 200 / 2.0);
                break;
            case < 48 when world.Launching.Count > 0:
                world.Accept(world.Launching[step.A % world.Launching.Count]);
                break;
            case < 52 when world.Launching.Count > 0:
                world.FailLaunch(world.Launching[step.A % world.Launching.Count], (LaunchFailure)(step.B % 4));
                break;
            case < 68 when running.Count > 0:
                world.Change(running[step.A % running.Count], InstanceState.Running);
                break;
            case < 70 when running.Count > 0:
                world.Change(running[step.A % running.Count], InstanceState.Interrupting);
                break;
            case < 73 when running.Count > 0:
                world.Vanish(running[step.A % running.Count]);
                break;
            case < 85 when world.Connecting.Count > 0:
                world.Connected(world.Connecting[step.A % world.Connecting.Count], well: step.B % 5 > 0);
                break;
            case < 90 when world.Draining.Count > 0:
                world.Drained(world.Draining[step.A % world.Draining.Count]);
                break;
            case < 96 when world.Terminating.Count > 0:
                world.Terminated(world.Terminating[step.A % world.Terminating.Count], well: step.B % 4 > 0);
                break;
            case < 98:
                world.List();
                break;
            case 98 when adopt:
                world.Add($"earlier-{step.A}-{step.B}-{world.Now.Ticks}", step.A % 2 == 0 ? "a" : "b");
                world.List();
                break;
            default:
                break;
        }
    }

    [Fact]
    public void NeverMoreThanTheMaximumNoLaunchTwiceAndTheLedgerAddsUp() => GenRun.Sample(run => Run(run.Max, run.Cap, run.Steps), iter: 3000);

    // Plans, failures, interruptions and breaches alike.
    private static void PlayWithBreaches(FleetWorld world, Step step)
    {
        if (step.Kind >= 94)
        {
            world.Slot(step.A, step.A * step.B / 1000);
        }
        else
        {
            Play(world, step, adopt: false);
        }
    }

    private static readonly InstanceOffering[] Priced =
    [
        new() { Name = "a", PricePerHour = 3.6m, LaunchDelay = TimeSpan.FromSeconds(30), MaxInstances = 2 },
        new() { Name = "b", PricePerHour = 1.8m, LaunchDelay = TimeSpan.FromSeconds(90) },
    ];

    [Fact]
    public void NeverAboveTheMaximumAQuotaOrTheBudgetWhateverHappens() => GenRun.Sample(run =>
    {
        var budget = 2.5m * run.Cap;
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, MaxInstances = run.Max, MaxHourlySpend = budget, Seed = 3, ScaleInCooldown = TimeSpan.FromSeconds(120) }, Priced);
        foreach (var step in run.Steps)
        {
            PlayWithBreaches(world, step);
            var there = world.Machines.Values.Select(m => (m.LaunchId, m.OfferingName)).Union(world.Launching.Select(l => (l.LaunchId, l.OfferingName))).ToArray();
            Assert.True(there.Length <= run.Max, $"{there.Length} of at most {run.Max}");
            Assert.True(there.Count(m => m.OfferingName == "a") <= 2, "more than the quota of a");
            Assert.True(there.Sum(m => Priced.First(o => o.Name == m.OfferingName).PricePerHour) <= budget, $"dearer than {budget} dollars an hour");
        }
    }, iter: 2000);

    [Fact]
    public void ADryRunTouchesNoMachineWhateverHappens() => GenRun.Sample(run =>
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, MaxInstances = run.Max, Seed = 3, IsDryRun = true }, Priced);
        foreach (var step in run.Steps)
        {
            if (step.Kind % 10 == 9)
            {
                world.Add($"other-{step.A}-{step.B}-{world.Now.Ticks}-{world.Machines.Count}", step.A % 2 == 0 ? "a" : "b");
                world.List();
            }
            PlayWithBreaches(world, step);
        }
        world.Stop();
        Assert.True(world.Controller.IsStopped);
        Assert.DoesNotContain(world.Journal, j => j.Contains(" Launch ", StringComparison.Ordinal) || j.Contains(" Terminate ", StringComparison.Ordinal) || j.Contains(" Drain ", StringComparison.Ordinal));
    }, iter: 1000);

    // Besides, a pool that is stopped, started, interrupted and forgotten.
    private static readonly InstanceOffering[] WithStandby =
    [
        new() { Name = "a", Market = InstanceMarket.Spot, PricePerHour = 3.6m, MinimumBilling = TimeSpan.FromSeconds(60), LaunchDelay = TimeSpan.FromSeconds(30), MaxInstances = 2, InterruptionsPerHour = 1 },
        new() { Name = "b", PricePerHour = 1.8m, LaunchDelay = TimeSpan.FromSeconds(90) },
        new()
        {
            Name = "s", Market = InstanceMarket.Standby, PricePerHour = 2.4m, StoppedPricePerHour = 0.1m, MinimumBilling = TimeSpan.FromSeconds(60), LaunchDelay = TimeSpan.FromSeconds(60),
            ResumeDelay = TimeSpan.FromSeconds(20), MaxInstances = 3,
        },
    ];

    private static void PlayWithStandby(FleetWorld world, Step step, bool adopt)
    {
        var ids = world.Machines.Keys.Order().ToList();
        var isStopped = ids.Count > 0 && world.IsBilledStopped(ids[step.A % ids.Count]);
        switch (step.Kind)
        {
            case 98 when adopt:
                world.AddStopped($"earlier-{step.A}-{step.B}-{world.Now.Ticks}-{world.Machines.Count}", "s");
                world.List();
                break;
            case >= 94:
                world.Slot(step.A, step.A * step.B / 1000);
                break;
            case < 20 or (>= 73 and < 80) when world.Stopping.Count > 0 && step.B % 2 == 0:
                world.Stopped(world.Stopping[step.A % world.Stopping.Count], well: step.B % 5 > 0);
                break;
            case < 20 or (>= 73 and < 80) when world.Starting.Count > 0 && step.B % 2 == 1:
                world.Started(world.Starting[step.A % world.Starting.Count], step.B % 5 > 0 ? null : (LaunchFailure)(step.A % 4));
                break;
            case >= 30 and < 68 when isStopped && !adopt && (step.Kind >= 52 || world.Launching.Count == 0):
                // One that runs by another hand's doing is not within what the controller may spend.
                break;
            case < 70 and >= 68 when ids.Count > 0:
                world.Change(ids[step.A % ids.Count], InstanceState.Interrupting, step.B % 3 == 0 ? null : world.Now.AddSeconds(step.B % 150));
                break;
            case 72 when ids.Count > 0:
                world.Change(ids[step.A % ids.Count], InstanceState.Stopped);
                break;
            default:
                Play(world, step, adopt: false);
                break;
        }
    }

    [Fact]
    public void WithAPoolNeverAboveTheMaximumOrTheBudgetAndTheLedgerAddsUpWhateverHappens() => GenRun.Sample(run =>
    {
        var (max, budget) = (run.Max + 3, 3m + 2.5m * run.Cap);
        var settings = new FleetSettings
        {
            Fleet = "m", MinInstances = 0, MaxInstances = max, StandbyInstances = run.Cap % 3, MaxHourlySpend = budget, Seed = 3, ScaleInCooldown = TimeSpan.FromSeconds(120),
        };
        var world = new FleetWorld(settings, WithStandby);
        foreach (var step in run.Steps)
        {
            PlayWithStandby(world, step, adopt: false);
            var named = world.Machines.Values.Select(m => m.LaunchId).ToHashSet();
            var coming = world.Launching.Where(l => !named.Contains(l.LaunchId)).ToArray();
            Assert.True(named.Count + coming.Length <= max, $"{named.Count} machines and {coming.Length} launches; the maximum is {max}");
            var spend = world.Machines.Values.Sum(m => SpendOf(world, m)) + coming.Sum(l => WithStandby.First(o => o.Name == l.OfferingName).PricePerHour);
            Assert.True(spend <= budget, $"{spend} dollars an hour; the budget is {budget}");
            if (!HasUnseen(world))
            {
                Assert.Equal(world.Bill(), world.Ledger.Summary(world.Now).InstanceCost);
            }
        }
    }, iter: 3000);

    private static decimal SpendOf(FleetWorld world, InstanceDescriptor machine)
    {
        var offering = WithStandby.First(o => o.Name == machine.OfferingName);
        return world.IsBilledStopped(machine.Id) && !world.Starting.Contains(machine.Id) ? offering.StoppedPricePerHour : offering.PricePerHour;
    }

    [Fact]
    public void WithAPoolNothingIsLeftAfterAStopAndTheSameEventsGiveTheSameCommands() => GenRun.Sample(run =>
    {
        var world = Play();
        Assert.Equal(Play().Journal, world.Journal);
        End(world, drains: run.Cap > 0);
        Assert.Equal(world.Bill(), world.Ledger.Summary(world.Now).InstanceCost);

        FleetWorld Play()
        {
            var played = new FleetWorld(
                new FleetSettings { Fleet = "m", MinInstances = 0, MaxInstances = run.Max + 3, StandbyInstances = run.Cap % 3, Seed = 7, ScaleInCooldown = TimeSpan.FromSeconds(120) }, WithStandby);
            foreach (var step in run.Steps)
            {
                PlayWithStandby(played, step, adopt: true);
            }
            return played;
        }
    }, iter: 2000);

    [Fact]
    public void NothingIsLeftAfterAStopWhateverHappenedBefore() => GenRun.Sample(run =>
    {
        var world = Run(run.Max, run.Cap, run.Steps, adopt: true);
        End(world, drains: run.Cap > 0);
        var before = world.Journal.Count;
        world.Tick(3, 3);
        world.Advance(1000);
        Assert.Equal(before, world.Journal.Count);
    }, iter: 3000);

    private static void End(FleetWorld world, bool drains)
    {
        world.Stop();
        Assert.DoesNotContain(world.Machines.Keys, id => world.Serving.Contains(id));
        if (!drains)
        {
            // The time to drain is over at once.
            world.StopDeadline();
            Assert.Empty(world.Serving.Concat(world.Draining).Concat(world.Connecting));
        }
        for (var round = 0; round < 1000 && !world.Controller.IsStopped; round++)
        {
            if (world.Launching.Count > 0)
            {
                world.Accept(world.Launching[0]);
            }
            else if (world.Connecting.Count > 0)
            {
                world.Connected(world.Connecting[0], well: round % 2 == 0);
            }
            else if (world.Draining.Count > 0)
            {
                world.Drained(world.Draining[0]);
            }
            else if (world.Terminating.Count > 0)
            {
                world.Terminated(world.Terminating[0]);
            }
            else if (world.IsListWanted)
            {
                world.List();
            }
            else
            {
                world.Advance(300);
            }
        }
        Assert.True(world.Controller.IsStopped);
        Assert.Empty(world.Machines);
        Assert.Equal(world.Bill(), world.Ledger.Summary(world.Now).InstanceCost);
        Assert.Equal(world.Controller.Launched, world.Controller.Terminated);
    }

    [Fact]
    public void TheSameEventsGiveTheSameCommands() => GenRun.Sample(run =>
        Assert.Equal(Run(run.Max, run.Cap, run.Steps, adopt: true).Journal, Run(run.Max, run.Cap, run.Steps, adopt: true).Journal), iter: 500);
}
