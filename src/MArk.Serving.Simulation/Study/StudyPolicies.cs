using MArk.Serving.Batching;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;
using MArk.Serving.Simulation.Baselines;

namespace MArk.Serving.Simulation;

/// <summary>A way to serve, to be compared with others.</summary>
public sealed class StudyPolicy
{
    private readonly Func<StudyCase, SimulationSettings> _settings;

    internal StudyPolicy(string name, string about, Func<StudyCase, SimulationSettings> settings) => (Name, About, _settings) = (name, about, settings);

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>What it does, in a sentence.</summary>
    public string About { get; }

    /// <summary>Whether it buys spot machines.</summary>
    public bool BuysSpot { get; init; }

    /// <summary>Simulates it.</summary>
    /// <param name="question">The model, the load and the prices.</param>
    /// <returns>What it came to.</returns>
    /// <exception cref="StudyInputException">A price is missing, or no type can keep the objective.</exception>
    public SimulationResult Run(StudyCase question)
    {
        ArgumentNullException.ThrowIfNull(question);
        return ServingSimulator.Run(_settings(question), question.Arrivals());
    }
}

/// <summary>The policies a study can compare.</summary>
public static class StudyPolicies
{
    private const int MaxInstances = 10_000;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<StudyPolicy> All { get; } =
    [
        new("mark-serving", "MArk.Serving as it is by default, on demand: batches by the objective, AutoPredictor, CostOptimalPlanner, spillover", q => Ours(q, q.OnDemand())),
        new("mark-serving-spot", "MArk.Serving as it is by default, on spot machines and on demand", q => Ours(q, q.SpotAndOnDemand())) { BuysSpot = true },
        new("clairvoyant", "MArk.Serving with the true future as its forecast, on demand", q => Ours(q, q.OnDemand(), () => new ClairvoyantPredictor(q.Trace, DateTimeOffset.UnixEpoch))),
        new("mark", "the paper's algorithms: greedy planner, moving maximum, spillover; on demand", q => MArk(q, q.OnDemand())),
        new("mark-spot", "the paper's algorithms on spot machines and on demand", q => MArk(q, q.SpotAndOnDemand())) { BuysSpot = true },
        new("sagemaker", "a managed endpoint with target tracking: one type, no batching, no spillover", SageMaker),
        new("hpa", "Kubernetes' horizontal pod autoscaler at a utilisation of 0.7: the cheapest type, batches as ours, no spillover", q => Reactive(q, HorizontalPodAutoscalerPlanner.Configure, machine => new HorizontalPodAutoscalerPlanner(machine.Offering.Name, q.CapacityOf(machine)))),
        new("kpa", "Knative's autoscaler: the cheapest type, batches as ours, no spillover", q => Reactive(q, KnativePodAutoscalerPlanner.Configure, machine => new KnativePodAutoscalerPlanner(machine.Offering.Name, ConcurrencyOf(q, machine)))),
        new("ray-serve", "Ray Serve's autoscaler: the cheapest type, batches as ours, no spillover", q => Reactive(q, RayServePlanner.Configure, machine => new RayServePlanner(machine.Offering.Name, ConcurrencyOf(q, machine)))),
        new("static-peak", "enough of the cheapest type for the highest minute, always", StaticPeakFleet),
    ];

    /// <summary>Finds a policy.</summary>
    /// <param name="name">Its name.</param>
    /// <returns>The policy.</returns>
    /// <exception cref="StudyInputException">There is none of that name; lists those there are.</exception>
    public static StudyPolicy Find(string name) => All.FirstOrDefault(p => p.Name == name)
        ?? throw new StudyInputException("policies", $"there is no '{name}'; there are: {string.Join(", ", All.Select(p => p.Name))}.");

    private static SimulationSettings Ours(StudyCase question, IReadOnlyList<SimulatedInstance> machines, Func<IWorkloadPredictor>? predictor = null) => World(question, machines) with
    {
        Fleet = Begin(question, machines, use: 0.8),
        Spillover = Function(question),
        Scaling = Scaling(question, machines, predictor ?? (() => new AutoPredictor()), () => new CostOptimalPlanner(), new FleetOptions()),
    };

    private static SimulationSettings MArk(StudyCase question, IReadOnlyList<SimulatedInstance> machines)
    {
        var options = new FleetOptions();
        MArkPlanner.Configure(options);
        return World(question, machines) with
        {
            Fleet = Begin(question, machines, use: 0.8),
            Spillover = Function(question),
            Scaling = Scaling(question, machines, () => new MovingMaximumPredictor(TimeSpan.FromMinutes(5)), () => new MArkPlanner(), options),
        };
    }

    private static SimulationSettings SageMaker(StudyCase question)
    {
        var machine = SageMakerTargetTrackingPlanner.CheapestOffering(question.Managed(), question.Model.Slo);
        var options = new FleetOptions();
        SageMakerTargetTrackingPlanner.Configure(options);
        var rate = 1 / machine.Profile.Mean(1).TotalSeconds;
        return World(question, [machine]) with
        {
            MaxBatchSize = 1,
            CreatePolicy = _ => new NoBatchingPolicy(),
            Fleet = [.. Enumerable.Repeat(machine, Math.Max(1, (int)Math.Ceiling(question.FirstRate() / (0.5 * rate))))],
            Scaling = Scaling(question, [machine], () => new MovingMaximumPredictor(TimeSpan.FromMinutes(5)), () => new SageMakerTargetTrackingPlanner(machine.Offering.Name, new SageMakerTargetTrackingOptions { MaxRatePerInstance = rate }), options),
        };
    }

    private static SimulationSettings Reactive(StudyCase question, Action<FleetOptions> configure, Func<SimulatedInstance, IProvisioningPlanner> planner)
    {
        var machine = question.ByPricePerRequest(question.OnDemand())[0];
        var options = new FleetOptions();
        configure(options);
        return World(question, [machine]) with
        {
            Fleet = Begin(question, [machine], use: 0.7),
            Scaling = Scaling(question, [machine], () => new MovingMaximumPredictor(TimeSpan.FromMinutes(5)), () => planner(machine), options),
        };
    }

    private static double ConcurrencyOf(StudyCase question, SimulatedInstance machine) => TargetConcurrency.Within(machine.Profile, question.Model.Slo, question.MaxBatchSize);

    private static SimulationSettings StaticPeakFleet(StudyCase question)
    {
        var machine = question.ByPricePerRequest(question.OnDemand())[0];
        var peak = question.RequestsBy(TimeSpan.FromMinutes(1)).Max() / 60;
        var count = StaticPeak.Instances(machine.Profile, peak, question.Model.Slo, question.MaxBatchSize, question.Model.ServiceLevel);
        return World(question, [machine]) with { Fleet = [.. Enumerable.Repeat(machine, count)] };
    }

    private static SimulationSettings World(StudyCase question, IReadOnlyList<SimulatedInstance> machines)
    {
        // So that a model which no type can serve is named with every type, before a policy looks at one.
        _ = question.ByPricePerRequest(machines);
        return new SimulationSettings
        {
            Slo = question.Model.Slo,
            ServiceLevel = question.Model.ServiceLevel,
            MaxBatchSize = question.MaxBatchSize,
            CreatePolicy = _ => new SloAwareBatchPolicy(),
            Duration = question.Trace.Duration,
            HistoryStep = TimeSpan.FromMinutes(1),
            Seed = question.Seed,
        };
    }

    /// <summary>The fleet that is there at the start: of the cheapest type, as many as serve the first load at some use of them.</summary>
    private static IReadOnlyList<SimulatedInstance> Begin(StudyCase question, IReadOnlyList<SimulatedInstance> machines, double use)
    {
        var cheapest = question.ByPricePerRequest(machines)[0];
        return [.. Enumerable.Repeat(cheapest, Math.Max(1, (int)Math.Ceiling(question.FirstRate() / (use * question.CapacityOf(cheapest)))))];
    }

    private static SimulatedSpillover? Function(StudyCase question) => question.Model.Function is { } function
        ? new SimulatedSpillover(function.Warm, function.PricePerRequest, MaxConcurrency: 1000) { ColdLatency = function.Cold }
        : null;

    private static SimulatedScaling Scaling(
        StudyCase question, IReadOnlyList<SimulatedInstance> machines, Func<IWorkloadPredictor> predictor, Func<IProvisioningPlanner> planner, FleetOptions options)
    {
        options.MaxInstances = MaxInstances;
        return new SimulatedScaling { Offerings = machines, CreatePredictor = predictor, CreatePlanner = planner, Options = options, SpotLosses = question.SpotLosses };
    }
}
