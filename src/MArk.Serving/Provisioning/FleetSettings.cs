namespace MArk.Serving.Provisioning;

/// <summary>What a fleet is kept by.</summary>
internal sealed record FleetSettings
{
    public required string Fleet { get; init; }

    /// <summary>How often the fleet is planned, and how long a step of the plan is.</summary>
    public TimeSpan Step { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How many steps are forecast.</summary>
    public int Horizon { get; init; } = 60;

    public int MinInstances { get; init; } = 1;

    public int MaxInstances { get; init; } = 100;

    /// <summary>How many standby machines are kept, of the most there may be.</summary>
    public int StandbyInstances { get; init; }

    /// <summary>How long fewer instances must have been wanted before one is let go (the paper's destroy cool-down).</summary>
    public TimeSpan ScaleInCooldown { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a machine may take to serve; nothing for what follows from its launch delay.</summary>
    public TimeSpan? ReadyTimeout { get; init; }

    public TimeSpan BackoffBase { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan BackoffMax { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>For how long an offering is avoided of which a spot machine was taken away.</summary>
    public TimeSpan InterruptionHold { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Seeds the jitter of retries.</summary>
    public int Seed { get; init; }

    /// <summary>Makes launch identifiers differ from those of an earlier run.</summary>
    public string LaunchIdPrefix { get; init; } = "";

    /// <summary>What spilling costs, until it is said anew.</summary>
    public SpilloverTerms? Spillover { get; init; }

    /// <summary>How long back the monitor looks; zero for no monitor.</summary>
    public TimeSpan SloWindow { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The share of requests that should be answered within the objective.</summary>
    public double ServiceLevel { get; init; } = 0.99;

    /// <summary>The most that the fleet may cost an hour, US dollars; nothing for no limit.</summary>
    public decimal? MaxHourlySpend { get; init; }

    /// <summary>Whether several hosts could keep the fleet, and this one does only while it is told so.</summary>
    public bool IsLeased { get; init; }

    /// <summary>Known events; nothing if there are none.</summary>
    public CapacitySchedule? Schedule { get; init; }

    /// <summary>Whether nothing is launched, drained or ended.</summary>
    public bool IsDryRun { get; init; }

    /// <summary>What the host's options say of a fleet.</summary>
    public static FleetSettings Of(string fleet, FleetOptions options, double serviceLevel, int seed, string launchIdPrefix, SpilloverTerms? spillover) => new()
    {
        Fleet = fleet,
        Step = options.PlanInterval,
        Horizon = options.Horizon,
        MinInstances = options.MinInstances,
        MaxInstances = options.MaxInstances,
        StandbyInstances = options.StandbyInstances,
        ScaleInCooldown = options.ScaleInCooldown,
        ReadyTimeout = options.ReadyTimeout,
        Schedule = options.ScheduledCapacity.Count > 0 ? new CapacitySchedule(options.ScheduledCapacity) : null,
        IsDryRun = options.DryRun,
        Seed = seed,
        LaunchIdPrefix = launchIdPrefix,
        Spillover = spillover,
        SloWindow = options.SloWindow,
        ServiceLevel = serviceLevel,
        MaxHourlySpend = options.MaxHourlySpend,
    };
}
