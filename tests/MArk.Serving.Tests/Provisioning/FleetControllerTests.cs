using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

public sealed class FleetControllerTests
{
    private static readonly InstanceOffering A = new() { Name = "a", PricePerHour = 3.6m, LaunchDelay = TimeSpan.FromSeconds(60), MinimumBilling = TimeSpan.FromSeconds(60) };
    private static readonly InstanceOffering B = new() { Name = "b", PricePerHour = 7.2m, LaunchDelay = TimeSpan.FromSeconds(20) };

    private static FleetWorld World(int max = 10, int min = 0, IWorkloadPredictor? predictor = null, IProvisioningPlanner? planner = null, params InstanceOffering[] offerings) =>
        new(new FleetSettings { Fleet = "m", MinInstances = min, MaxInstances = max }, offerings.Length == 0 ? [A] : offerings, predictor, planner);

    [Fact]
    public void AMachineIsLaunchedConnectedServesIsDrainedAndEnded()
    {
        var world = World();
        world.Tick(1);
        var launch = Assert.Single(world.Launching);
        Assert.Equal(new LaunchRequest("m-1", "m", "a"), launch);
        Assert.Equal((0, 1), (world.Controller.Ready, world.Controller.Launching));
        Assert.Equal(FleetWorld.Start.AddSeconds(60), world.Controller.NextReadyAt);
        var machine = world.Accept(launch);
        Assert.Empty(world.Connecting);
        world.Advance(30);
        world.Change(machine.Id, InstanceState.Running);
        Assert.Equal([machine.Id], world.Connecting);
        world.Connected(machine.Id);
        Assert.Equal((1, 0, null), (world.Controller.Ready, world.Controller.Launching, world.Controller.NextReadyAt));
        world.Stop();
        Assert.Equal([machine.Id], world.Draining);
        world.Drained(machine.Id);
        Assert.Equal([machine.Id], world.Terminating);
        world.Terminated(machine.Id);
        Assert.True(world.Controller.IsStopped);
        Assert.Equal((1, 1), (world.Controller.Launched, world.Controller.Terminated));
        // 30 s ran, 60 s are the least that is billed: 0.001 dollars a second.
        Assert.Equal(0.060m, world.Ledger.Summary(world.Now).Total);
    }

    [Fact]
    public void NothingIsLaunchedPastTheBudgetWhateverIsPlannedAndItIsSaid()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, MaxHourlySpend = 11 }, [A, B]);
        world.Tick(2, 2);
        // 3.6 + 3.6 leave no room for 7.2.
        Assert.Equal(["a", "a"], world.Launching.Select(l => l.OfferingName));
        var bound = Assert.Single(world.Controller.Explanation.Bounds);
        Assert.Equal(new PlanBound(PlanBoundKind.HourlySpend, "MaxHourlySpend 11 dollars: refused to launch b, 14.4 dollars an hour with it"), bound);
        world.Serve();
        world.Serve();
        world.Advance(60);
        world.Tick(2, 0);
        Assert.Empty(world.Controller.Explanation.Bounds);
        world.Advance(60);
        world.Tick(1, 0);
        Assert.Equal(new PlanBound(PlanBoundKind.Cooldown, "ScaleInCooldown 00:05:00: 1 x a kept"), Assert.Single(world.Controller.Explanation.Bounds));
    }

    [Fact]
    public void OneThatHasPaidItsMinimumIsLetGoBeforeOneThatHasNot()
    {
        var hourly = A with { MinimumBilling = TimeSpan.FromHours(1) };
        var world = World(offerings: hourly);
        world.Tick(1);
        var old = world.Serve();
        world.Advance(3000);
        world.Tick(2);
        world.Serve();
        for (var minute = 0; minute < 17; minute++)
        {
            world.Advance(60);
            world.Tick(1);
        }
        Assert.Equal([old], world.Draining);
    }

    [Fact]
    public void FewerAreHadOnlyAfterFewerWereWantedAllThroughTheCoolDown()
    {
        var world = World();
        world.Tick(2);
        world.Serve();
        var youngest = world.Serve();
        world.Advance(60);
        world.Tick(1);
        for (var minute = 0; minute < 4; minute++)
        {
            world.Advance(60);
            world.Tick(1);
            Assert.Empty(world.Draining);
        }
        // The need comes back for a moment: the cool-down begins anew.
        world.Advance(30);
        world.Tick(2);
        for (var minute = 0; minute < 5; minute++)
        {
            world.Advance(60);
            world.Tick(1);
            Assert.Empty(world.Draining);
        }
        world.Advance(60);
        world.Tick(1);
        Assert.Equal([youngest], world.Draining);
    }

    [Fact]
    public void AMachineOnItsWayGoesBeforeOneThatServes()
    {
        var world = World();
        world.Tick(1);
        var serving = world.Serve();
        world.Tick(2);
        var pending = world.Accept(world.Launching[0]);
        world.Advance(1);
        world.Tick(1);
        world.Advance(301);
        world.Tick(1);
        Assert.Equal([pending.Id], world.Terminating);
        Assert.Equal([serving], world.Serving);
    }

    [Fact]
    public void ARequestedMachineThatIsWantedAgainIsKept()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, ReadyTimeout = TimeSpan.FromHours(1) }, [A]);
        world.Tick(1);
        world.Advance(1);
        world.Tick(0);
        world.Advance(301);
        world.Tick(0);
        Assert.Equal(0, world.Controller.Launching);
        world.Tick(1);
        Assert.Equal(1, world.Controller.Launching);
        Assert.Single(world.Launching);
        world.Serve();
        Assert.Equal(1, world.Controller.Ready);
    }

    [Fact]
    public void AFailedLaunchIsTriedAgainWithGrowingDelaysAndAMisconfiguredOneIsNot()
    {
        var world = World();
        world.Tick(1);
        for (var i = 0; i < 4; i++)
        {
            world.FailLaunch(world.Launching[0], LaunchFailure.InsufficientCapacity);
            Assert.Empty(world.Launching);
            var delay = world.WakeAt!.Value - world.Now;
            // Between half and the whole of 5, 10, 20, 40 s.
            Assert.InRange(delay.TotalSeconds, 2.5 * (1 << i), 5 * (1 << i));
            world.AdvanceTo(world.WakeAt.Value);
            Assert.Single(world.Launching);
        }
        world.FailLaunch(world.Launching[0], LaunchFailure.Misconfigured);
        world.Advance(10_000);
        world.Tick(1);
        Assert.Empty(world.Launching);
        var fault = Assert.IsType<InstanceLaunchException>(Assert.Single(world.Faults));
        Assert.Equal(("a", LaunchFailure.Misconfigured), (fault.OfferingName, fault.Failure));
    }

    [Fact]
    public void ALaunchCallThatFailedThoughItsMachineCameIsNoSecondMachine()
    {
        var world = World();
        world.Tick(1);
        var launch = world.Launching[0];
        var machine = world.Accept(launch, answer: false);
        world.Change(machine.Id, InstanceState.Running);
        world.FailLaunch(launch, LaunchFailure.Unknown);
        Assert.Equal([machine.Id], world.Connecting);
        world.Tick(1);
        Assert.Empty(world.Launching);
    }

    [Fact]
    public void AMachineThatCannotBeConnectedIsEndedAndAnotherTriedLater()
    {
        var world = World();
        world.Tick(1);
        var machine = world.Accept(world.Launching[0]);
        world.Change(machine.Id, InstanceState.Running);
        world.Connected(machine.Id, well: false);
        Assert.Equal([machine.Id], world.Terminating);
        world.Terminated(machine.Id);
        world.Tick(1);
        Assert.Empty(world.Launching);
        world.Advance(5);
        Assert.Single(world.Launching);
    }

    [Fact]
    public void EndingAMachineIsTriedUntilItSucceeds()
    {
        var world = World();
        world.Tick(1);
        var machine = world.Accept(world.Launching[0]);
        world.Stop();
        for (var i = 0; i < 3; i++)
        {
            world.Terminated(machine.Id, well: false);
            Assert.False(world.Controller.IsStopped);
            world.AdvanceTo(world.WakeAt!.Value);
            Assert.Equal([machine.Id], world.Terminating);
        }
        world.Terminated(machine.Id);
        Assert.True(world.Controller.IsStopped);
    }

    [Fact]
    public void MachinesOfAnEarlierRunAreAdoptedAndThoseNotListedAreLost()
    {
        var world = World();
        var old = world.Add("earlier-7", "a");
        world.Machines[old.Id] = old with { State = InstanceState.Running };
        world.List();
        Assert.Equal([old.Id], world.Connecting);
        world.Connected(old.Id);
        world.Tick(1);
        Assert.Empty(world.Launching);
        // Named after the list was asked for: not missed in it.
        world.Tick(2);
        world.Advance(1);
        var asked = world.Now;
        world.Advance(1);
        world.Accept(world.Launching[0]);
        world.Controller.OnListed(world.Now, asked, []);
        // What is missed in it is replaced at once.
        Assert.Equal((0, 2), (world.Controller.Ready, world.Controller.Launching));
    }

    [Fact]
    public void AMachineThatAListMissesIsEndedAndNotForgottenBeforeThat()
    {
        var world = World();
        world.Tick(1);
        var id = world.Serve();
        world.Advance(1);
        world.Controller.OnListed(world.Now, world.Now, []);
        world.Tick(1);
        Assert.Equal([id], world.Terminating);
        Assert.DoesNotContain(id, world.Serving);
        // It lives after all, and the next list has it: it is being ended all the same, and costs until then.
        world.Advance(60);
        world.List();
        Assert.Equal(world.Bill(), world.Ledger.Summary(world.Now).InstanceCost);
        world.Terminated(id);
        Assert.Equal(world.Bill(), world.Ledger.Summary(world.Now).InstanceCost);
    }

    [Fact]
    public void AMachineThatWentWhileItWasConnectedIsLostOnceItIs()
    {
        var world = World();
        world.Tick(1);
        var machine = world.Accept(world.Launching[0]);
        world.Change(machine.Id, InstanceState.Running);
        world.Vanish(machine.Id);
        world.Connected(machine.Id);
        Assert.Empty(world.Serving);
        Assert.Equal(0, world.Controller.Ready);
    }

    [Fact]
    public void AnAdoptedMachineTeachesNoLaunchDelayAndIsBilledFromNowWhereItsProviderDoesNotSay()
    {
        var world = World();
        for (var i = 0; i < 5; i++)
        {
            world.Controller.OnInstanceChanged(world.Now, new InstanceDescriptor { Id = $"old-{i}", LaunchId = $"old-{i}", OfferingName = "a", State = InstanceState.Running });
            world.Controller.OnConnected(world.Now.AddSeconds(1), $"old-{i}");
        }
        // 60 s are the least that is billed: 0.001 dollars a second.
        Assert.Equal(5 * 0.060m, world.Ledger.Summary(world.Now).Total);
        while (world.Controller.TryTakeCommand(out _))
        {
            // The world knows nothing of these machines.
        }
        world.Tick(6);
        Assert.Equal(world.Now.AddSeconds(60), world.Controller.NextReadyAt);
    }

    [Fact]
    public void NewsOfAMachineThatIsGoneDoesNotBringItBack()
    {
        var world = World();
        world.Tick(1);
        var id = world.Serve();
        var late = world.Machines[id];
        world.Vanish(id);
        Assert.Equal(0, world.Controller.Ready);
        world.Controller.OnInstanceChanged(world.Now, late);
        // What replaces it is on its way, and nothing else.
        Assert.Equal((0, 1, 1), (world.Controller.Ready, world.Controller.Launching, world.Controller.Launched));
        world.Tick(1);
        Assert.Single(world.Launching);
    }

    [Fact]
    public void AMachineOfAnUnknownOfferingIsReportedAndLeftAlone()
    {
        var world = World();
        world.Controller.OnListed(world.Now, world.Now, [new InstanceDescriptor { Id = "x", LaunchId = "y", OfferingName = "old" }]);
        world.Tick(0);
        var message = Assert.Single(world.Faults).Message;
        Assert.Contains("'x'", message);
        Assert.Contains("There are: a", message);
    }

    [Fact]
    public void AnInterruptedMachineIsDrainedAndReplaced()
    {
        var world = World();
        world.Tick(1);
        var id = world.Serve();
        world.Change(id, InstanceState.Interrupting);
        Assert.Equal([id], world.Draining);
        world.Tick(1);
        Assert.Single(world.Launching);
    }

    [Fact]
    public void NothingIsMeasuredYetSoOneOfTheCheapestIsHad()
    {
        var ledger = new CostLedger();
        var controller = new FleetController(new FleetSettings { Fleet = "m", MinInstances = 0 }, [B, A], new FlatPredictor(), new GreedyPlanner(), ledger);
        controller.OnTick(FleetWorld.Start);
        var launches = new List<string>();
        while (controller.TryTakeCommand(out var command))
        {
            if (command.Kind == FleetCommandKind.Launch)
            {
                launches.Add(command.Launch!.OfferingName);
            }
        }
        Assert.Equal(["a"], launches);
        Assert.Contains("a is had first", controller.Explanation.Summary);
    }

    [Fact]
    public void AForecastLeadsToLaunchesAheadOfTheLoad()
    {
        var predictor = new MovingMaximumPredictor(TimeSpan.FromMinutes(5), headroom: 1.5);
        var world = World(predictor: predictor, planner: new GreedyPlanner());
        world.Controller.OnSample(world.Now, new ArrivalSample(world.Now.AddSeconds(-5), TimeSpan.FromSeconds(5), 900));
        world.Controller.OnTick(world.Now);
        // 180/s seen, 270/s expected, 100/s an instance.
        Assert.Equal(3, world.Controller.Launching);
        Assert.Contains("270 requests/s to cover", world.Controller.Explanation.ToString());
    }

    private sealed class Broken(Action<WorkloadForecast> fill, bool throwOnObserve = false) : IWorkloadPredictor
    {
        public void Observe(in ArrivalSample sample)
        {
            if (throwOnObserve)
            {
                throw new InvalidOperationException("observe");
            }
        }

        public void Forecast(WorkloadForecast forecast) => fill(forecast);
    }

    private sealed class ThrowingPlanner : IProvisioningPlanner
    {
        public void Plan(in ProvisioningContext context, FleetPlan plan) => throw new InvalidOperationException("plan");
    }

    [Fact]
    public void NonsenseOfPredictorsAndPlannersIsReportedAndTheFleetLeftAsItIs()
    {
        Check(new Broken(f => f.Peak.Fill(double.NaN)), null, "peak NaN");
        Check(new Broken(f => f.Mean.Fill(-1)), null, "mean -1");
        Check(new Broken(f => f.Quantile(0).Fill(5)), null, "not below 5");
        Check(new Broken(_ => throw new InvalidOperationException("forecast"), throwOnObserve: true), null, "threw from Forecast");
        Check(null, new ThrowingPlanner(), "threw from Plan");
        Check(null, new ScriptedPlanner(1) { Wanted = [-2] }, "planned -2 instances; accepted is 0 or more");

        static void Check(IWorkloadPredictor? predictor, IProvisioningPlanner? planner, string expected)
        {
            var world = World(predictor: predictor, planner: planner);
            var old = world.Add("earlier", "a");
            world.List();
            world.Controller.OnSample(world.Now, new ArrivalSample(world.Now, TimeSpan.FromSeconds(5), 1));
            world.Controller.OnTick(world.Now);
            world.Advance(0);
            world.List();
            var fault = Assert.IsType<ContractViolationException>(world.Faults[^1]);
            Assert.Contains(expected, fault.Message);
            Assert.True(world.Machines.ContainsKey(old.Id));
            Assert.Empty(world.Terminating);
        }
    }
}
