using MArk.Serving.Batching;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;
using MArk.Serving.Simulation.Baselines;

namespace MArk.Serving.Simulation.Tests.Baselines;

/// <summary>What all autoscalers have in common.</summary>
public sealed class ReactivePlannerTests
{
    private static readonly Dictionary<string, (Func<string, IProvisioningPlanner> Create, TimeSpan Slot, Action<FleetOptions> Configure)> All = new()
    {
        ["sagemaker"] = (o => new SageMakerTargetTrackingPlanner(o), SageMakerTargetTrackingPlanner.SampleInterval, SageMakerTargetTrackingPlanner.Configure),
        ["hpa"] = (o => new HorizontalPodAutoscalerPlanner(o, 10), HorizontalPodAutoscalerPlanner.SampleInterval, HorizontalPodAutoscalerPlanner.Configure),
        ["kpa"] = (o => new KnativePodAutoscalerPlanner(o, 10), KnativePodAutoscalerPlanner.SampleInterval, KnativePodAutoscalerPlanner.Configure),
        ["ray"] = (o => new RayServePlanner(o, 10), RayServePlanner.SampleInterval, RayServePlanner.Configure),
    };

    public static TheoryData<string> Names => new(All.Keys);

    /// <summary>Far more load than the fleet has capacity for, for as long as any of them takes to act on it.</summary>
    private static int Overload(ScriptedFleet fleet)
    {
        var planned = 0;
        for (var slot = 0; slot < 200; slot++)
        {
            planned = fleet.Step(arrivals: 1e6, completions: 1e6, concurrency: 1e6);
        }
        return planned;
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void AnOfferingThatThereIsNotIsRefusedWithTheNamesOfThoseThereAre(string name)
    {
        var fleet = new ScriptedFleet(All[name].Create("spare"), All[name].Slot);
        Assert.Contains("there is no offering 'spare'; accepted: other, kind.", Assert.Throws<InvalidProvisioningInputException>(() => fleet.Plan()).Message);
        Assert.Throws<ArgumentException>(() => All[name].Create(" "));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void BoundsAreKeptAndSaid(string name)
    {
        var fleet = Fleet(most: 7);
        Assert.Equal(7, Overload(fleet));
        Assert.Contains(fleet.LastPlan.Explanation.Bounds, b => b.Kind == PlanBoundKind.MaxInstances && b.Text.StartsWith("MaxInstances 7, ", StringComparison.Ordinal));
        fleet = Fleet(most: 7);
        fleet.OfferingMax = 5;
        Assert.Equal(5, Overload(fleet));
        Assert.Contains(fleet.LastPlan.Explanation.Bounds, b => b.Kind == PlanBoundKind.OfferingMaximum && b.Text == "at most 5 x kind, 7 wanted");
        // What was forbidden for a while is had afterwards.
        fleet.OfferingMax = 100;
        Assert.Equal(7, fleet.Plan());
        // Two dollars an hour each.
        fleet = Fleet(most: 7, spend: 9);
        Assert.Equal(4, Overload(fleet));
        Assert.Contains(fleet.LastPlan.Explanation.Bounds, b => b.Kind == PlanBoundKind.HourlySpend);

        // Without any load, at 3.
        fleet = Fleet(most: 7);
        for (var elapsed = TimeSpan.Zero; elapsed < TimeSpan.FromHours(2); elapsed += All[name].Slot)
        {
            fleet.Step();
        }
        Assert.Equal(3, fleet.Ready);

        ScriptedFleet Fleet(int most, decimal? spend = null) => new(All[name].Create("kind"), All[name].Slot) { Ready = 4, Follows = true, Min = 3, Max = most, Spend = spend };
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void BeforeAnythingIsObservedTheFleetThereIsIsKept(string name)
    {
        var fleet = new ScriptedFleet(All[name].Create("kind"), All[name].Slot) { Ready = 3, Launching = 1 };
        Assert.Equal(4, fleet.Plan());
        Assert.False(All[name].Create("kind").MayBeExceeded);
    }

    [Theory]
    [InlineData("sagemaker")]
    [InlineData("hpa")]
    public void AnOfferingThatCannotKeepTheObjectiveIsRefused(string name)
    {
        var fleet = new ScriptedFleet(All[name].Create("kind"), All[name].Slot) { Capacity = 0 };
        Assert.Contains("kind", Assert.Throws<NoUsableOfferingException>(() => fleet.Plan()).Message);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void TheFleetIsSetToItsRhythmAndToItsOwnRulesAlone(string name)
    {
        var options = new FleetOptions { MaxInstances = 50 };
        All[name].Configure(options);
        Assert.Equal(All[name].Slot, options.SampleInterval);
        Assert.True(options.PlanInterval >= options.SampleInterval);
        Assert.Equal((1, TimeSpan.Zero, TimeSpan.Zero, 50), (options.Horizon, options.ScaleInCooldown, options.SloWindow, options.MaxInstances));
    }

    /// <summary>Three until second 10, and then one.</summary>
    private sealed class Shrinking : IProvisioningPlanner
    {
        public bool MayBeExceeded => false;

        public void Plan(in ProvisioningContext context, FleetPlan plan) =>
            plan.Step(0)[0] = context.Now < DateTimeOffset.UnixEpoch + TimeSpan.FromSeconds(10) ? 3 : 1;
    }

    [Fact]
    public void WithoutACoolDownTheControllerLetsGoAtOnceWhatIsNotPlanned()
    {
        // A dollar a 1000 s each: one for 60 s, and two for the ten seconds until the plan that no longer has them.
        var kind = new SimulatedInstance(
            new InstanceOffering { Name = "kind", PricePerHour = 3.6m }, LatencyProfile.Linear(TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(0.5), 32));
        var options = new FleetOptions();
        RayServePlanner.Configure(options);
        var result = ServingSimulator.Run(
            new SimulationSettings
            {
                Slo = TimeSpan.FromMilliseconds(50),
                CreatePolicy = _ => new SloAwareBatchPolicy(),
                Fleet = [kind, kind, kind],
                Duration = TimeSpan.FromSeconds(60),
                Scaling = new SimulatedScaling
                {
                    Offerings = [kind],
                    CreatePredictor = () => new MovingMaximumPredictor(TimeSpan.FromMinutes(1)),
                    CreatePlanner = () => new Shrinking(),
                    Options = options,
                },
            },
            []);
        Assert.Equal(0.001m * (60 + 2 * 10), result.InstanceCost, 9);
    }
}
