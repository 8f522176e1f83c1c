using MArk.Serving.Provisioning;

namespace MArk.Serving.Simulation;

/// <summary>The world a simulation runs in.</summary>
public sealed record SimulationSettings
{
    /// <summary>The model's latency objective; more than zero.</summary>
    public required TimeSpan Slo { get; init; }

    /// <summary>The share of requests that should be answered within it, as the planner is told: more than 0, less than 1.</summary>
    public double ServiceLevel { get; init; } = 0.99;

    /// <summary>The largest batch; at least 1.</summary>
    public int MaxBatchSize { get; init; } = 32;

    /// <summary>The most requests that wait; at least 1.</summary>
    public int MaxQueueLength { get; init; } = 10_000;

    /// <summary>Sizes the batches.</summary>
    public required Func<BatchPolicySettings, IBatchPolicy> CreatePolicy { get; init; }

    /// <summary>The instances that serve at the start, and to the end unless there is <see cref="Scaling"/>.</summary>
    public IReadOnlyList<SimulatedInstance> Fleet { get; init; } = [];

    /// <summary>Plans the fleet as the engine does; <see langword="null"/> keeps it as it is at the start.</summary>
    public SimulatedScaling? Scaling { get; init; }

    /// <summary>How long the fleet is had at least; it is had until the last request has ended in any case.</summary>
    public TimeSpan Duration { get; init; }

    /// <summary>When the simulation begins, UTC: seasons and arrival slots are aligned to it. Default: the Unix epoch.</summary>
    public DateTimeOffset Start { get; init; } = DateTimeOffset.UnixEpoch;

    /// <summary>Where requests go that the fleet cannot finish in time; <see langword="null"/> for nowhere.</summary>
    public SimulatedSpillover? Spillover { get; init; }

    /// <summary>What becomes of a request that cannot be answered in time. <see langword="null"/>, the default, spills it where there is a <see cref="Spillover"/>, and else serves it late.</summary>
    public WhenUnreachable? WhenUnreachable { get; init; }

    /// <summary>The relative standard deviation of a batch's time about its profile's mean; 0 for none.</summary>
    public double LatencyNoise { get; init; }

    /// <summary>How long a step of <see cref="SimulationResult.History"/> is; more than zero. <see langword="null"/> keeps no history.</summary>
    public TimeSpan? HistoryStep { get; init; }

    /// <summary>Seeds all randomness: the same settings, arrivals and seed give the same result.</summary>
    public int Seed { get; init; }
}

/// <summary>A kind of instance of a simulated fleet.</summary>
/// <param name="Offering">What it costs, the shortest time it is billed for, and how long a launch takes.</param>
/// <param name="Profile">How long it takes for a batch of each size.</param>
public sealed record SimulatedInstance(InstanceOffering Offering, LatencyProfile Profile)
{
    /// <summary>The first part of a launch, which is not billed: 0 to <see cref="InstanceOffering.LaunchDelay"/>.</summary>
    public TimeSpan UnbilledLaunch { get; init; }

    /// <summary>The relative standard deviation of how long launches take, log-normally about the offering's launch delay: 0 to 2; 0 for none.</summary>
    public double LaunchDelayNoise { get; init; }
}

/// <summary>How a simulated fleet is planned: by the controller that the engine runs.</summary>
/// <remarks>
/// A spot machine is taken away after a time that is drawn from an exponential distribution, of <see cref="InstanceOffering.InterruptionsPerHour"/>, and with <see cref="SpotLosses"/>; it is
/// told <see cref="InterruptionNotice"/> before. A standby machine is stopped at once and runs its <see cref="InstanceOffering.ResumeDelay"/> after it is started. Left out: launches and
/// starts that fail, and that a burstable machine slows down once its credits are spent.
/// </remarks>
public sealed record SimulatedScaling
{
    /// <summary>What can be launched, and how long each takes for a batch of each size; at least one. A launch takes the offering's launch delay.</summary>
    public required IReadOnlyList<SimulatedInstance> Offerings { get; init; }

    /// <summary>Makes the predictor.</summary>
    public required Func<IWorkloadPredictor> CreatePredictor { get; init; }

    /// <summary>Makes the planner.</summary>
    public required Func<IProvisioningPlanner> CreatePlanner { get; init; }

    /// <summary>The settings a live fleet has, those of single offerings and a price file among them.</summary>
    public FleetOptions Options { get; init; } = new();

    /// <summary>How long before a spot machine is taken away that is told: at least 0. Default 2 min.</summary>
    public TimeSpan InterruptionNotice { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>When many spot machines are taken away at once; in any order.</summary>
    public IReadOnlyList<SpotLoss> SpotLosses { get; init; } = [];

    /// <summary>How often a machine that runs is lost without a notice, per machine and hour: a finite number of at least 0. Default 0.</summary>
    public double CrashesPerHour { get; init; }
}

/// <summary>
/// A simulated spillover target: an environment for each request that it runs at a time. One that has run a request is warm for the next one for a while; another must start first.
/// </summary>
/// <param name="Latency">How long a warm environment takes; more than zero.</param>
/// <param name="PricePerRequest">What a request costs, US dollars; one of a warm-up, too.</param>
/// <param name="MaxConcurrency">The most requests at a time; at least 1.</param>
public sealed record SimulatedSpillover(TimeSpan Latency, decimal PricePerRequest, int MaxConcurrency)
{
    /// <summary>How long an environment takes that must start first, its start included: at least <see cref="Latency"/>. <see langword="null"/> where there is no such thing.</summary>
    public TimeSpan? ColdLatency { get; init; }

    /// <summary>For how long an environment that has nothing to do is kept: more than zero. Default 45 min.</summary>
    public TimeSpan EnvironmentLifetime { get; init; } = TimeSpan.FromMinutes(45);
}

/// <summary>What a simulation came to.</summary>
public sealed record SimulationResult
{
    /// <summary>Requests that arrived.</summary>
    public required long Requests { get; init; }

    /// <summary>Requests answered by their deadline.</summary>
    public required long InTime { get; init; }

    /// <summary>Requests that were refused.</summary>
    public required long Rejected { get; init; }

    /// <summary>Requests the spillover target answered.</summary>
    public required long Spilled { get; init; }

    /// <summary>Batches that ran on instances.</summary>
    public required long Batches { get; init; }

    /// <summary>The mean number of requests of a batch; 0 if none ran.</summary>
    public required double MeanBatch { get; init; }

    /// <summary>The median latency of answered requests.</summary>
    public required TimeSpan P50 { get; init; }

    /// <summary>The 99th percentile of the latency of answered requests.</summary>
    public required TimeSpan P99 { get; init; }

    /// <summary>The 99.9th percentile of the latency of answered requests.</summary>
    public required TimeSpan P999 { get; init; }

    /// <summary>The tail of the latency distribution of answered requests, ascending; empty if none was answered.</summary>
    public required IReadOnlyList<LatencyTailPoint> LatencyTail { get; init; }

    /// <summary>The offerings' names: those of the scaling fleet, or of the fixed one.</summary>
    public required IReadOnlyList<string> Offerings { get; init; }

    /// <summary>What happened in each step of <see cref="SimulationSettings.HistoryStep"/>; empty unless that is set.</summary>
    public required IReadOnlyList<SimulationStep> History { get; init; }

    /// <summary>The most instances that served at a time.</summary>
    public required int PeakInstances { get; init; }

    /// <summary>Instances that began to cost.</summary>
    public required int Launched { get; init; }

    /// <summary>Instances that their provider took away, after a notice.</summary>
    public required long Interruptions { get; init; }

    /// <summary>Starts of stopped standby instances.</summary>
    public required long Resumptions { get; init; }

    /// <summary>From the start to the last event.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>What the instances cost, US dollars, minimum billing paid.</summary>
    public required decimal InstanceCost { get; init; }

    /// <summary>Requests, of those spilled and of warm-ups, for which an environment had to start.</summary>
    public required long ColdStarts { get; init; }

    /// <summary>What spilled requests and warm-ups cost, US dollars.</summary>
    public required decimal SpilloverCost { get; init; }

    /// <summary>Requests answered by their deadline, of all that arrived; 1 if none did.</summary>
    public double SloAttainment => Requests == 0 ? 1 : (double)InTime / Requests;

    /// <summary>What it all cost, US dollars.</summary>
    public decimal TotalCost => InstanceCost + SpilloverCost;
}
