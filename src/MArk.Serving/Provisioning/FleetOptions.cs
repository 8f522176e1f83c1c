namespace MArk.Serving.Provisioning;

/// <summary>The settings of a model's fleet, where instances come from a provider. Section <c>MArk:Models:{name}:Fleet</c>.</summary>
public sealed class FleetOptions
{
    /// <summary>The fewest instances: 0 to 10000, at most <see cref="MaxInstances"/>. Default 1.</summary>
    public int MinInstances { get; set; } = 1;

    /// <summary>The most instances, over all offerings, those that are draining or stopped included: 1 to 10000. Default 100.</summary>
    public int MaxInstances { get; set; } = 100;

    /// <summary>
    /// How many of <see cref="MaxInstances"/> are kept stopped, of offerings of <see cref="InstanceMarket.Standby"/>, to stand in where a machine is interrupted or lost or the
    /// objective is broken: 0 to <see cref="MaxInstances"/> less what is planned at least, <see cref="MinInstances"/> or 1. They are launched, stopped once the model has been loaded on them, and, once
    /// started, stopped again when what is planned has served without them for <see cref="ScaleInCooldown"/>. Default 0.
    /// </summary>
    public int StandbyInstances { get; set; }

    /// <summary>
    /// What holds for single offerings, by name, in place of what their provider and <see cref="PriceFile"/> say: prices, interruptions, quotas. A name that the provider does not
    /// offer is refused at start.
    /// </summary>
    public Dictionary<string, OfferingOptions> Offerings { get; } = [];

    /// <summary>
    /// A CSV file of prices that holds in place of the provider's: columns <c>offering</c>, <c>price_per_hour</c> and, if wanted, <c>on_demand_price_per_hour</c>,
    /// <c>stopped_price_per_hour</c>, <c>interruptions_per_hour</c>; US dollars. Offerings that are not in it keep their prices. Read at start. Default <see langword="null"/>: none.
    /// </summary>
    public string? PriceFile { get; set; }

    /// <summary>
    /// The most that the fleet may cost an hour, US dollars: 0 to 1e9. A hard stop, whatever the load: nothing is launched past it, and what was refused is said. Default
    /// <see langword="null"/>: no limit.
    /// </summary>
    public decimal? MaxHourlySpend { get; set; }

    /// <summary>
    /// Windows of known events, daily, weekly or once, with the fewest instances or the rate to be ready for. Default empty.
    /// </summary>
    public List<ScheduledCapacity> ScheduledCapacity { get; set; } = [];

    /// <summary>
    /// Whether plans are only made, explained and logged, and nothing is launched, drained or ended: <see cref="PlanExplanation.Actions"/> says what would have been. Machines of the
    /// fleet that there are serve, and its lease is left to others. Default <see langword="false"/>.
    /// </summary>
    public bool DryRun { get; set; }

    /// <summary>How long a slot of counted arrivals is, aligned to the Unix epoch: 10 ms to 1 h. Default 5 s; a demo that compresses time takes less.</summary>
    public TimeSpan SampleInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How often the fleet is planned, and how long a step of the forecast is: 10 ms to 1 day, at least <see cref="SampleInterval"/>. Default 1 min.</summary>
    public TimeSpan PlanInterval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How many steps are forecast: 1 to 1440. Default 60.</summary>
    public int Horizon { get; set; } = 60;

    /// <summary>
    /// The time zone in which days and weeks begin for the forecast, by its IANA or system name, such as <c>Europe/Berlin</c>. Default <c>UTC</c>. A predictor of the host's own heeds it if it is
    /// made by <see cref="Prediction.PredictorOptions.Of"/>.
    /// </summary>
    public string TimeZone { get; set; } = "UTC";

    /// <summary>
    /// How long fewer instances must have been wanted before one is let go (the paper's destroy cool-down): 0 to 7 days. Default 1 min, since <see cref="CostOptimalPlanner"/> prices
    /// launches, and so does not let go what it would launch again.
    /// </summary>
    public TimeSpan ScaleInCooldown { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// How long back requests are judged: where fewer than the service level of them were answered in time, and that is no accident, instances are launched at once and spillover
    /// is warmed up, without waiting for the plan; they are kept until the objective has been kept for <see cref="ScaleInCooldown"/>. 0, which turns that off, or
    /// <see cref="SampleInterval"/> to 1 h. Default 30 s.
    /// </summary>
    public TimeSpan SloWindow { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long a machine may take from its launch to serving before it is ended, counted as a failed launch and replaced: 1 s to 1 day, and no less than any offering's launch delay. Default <see langword="null"/>: three
    /// times the offering's launch delay, declared or measured, whichever is longer, and at least 5 min.
    /// </summary>
    public TimeSpan? ReadyTimeout { get; set; }

    /// <summary>How long the host's start waits for the first instance, where <see cref="MinInstances"/> is more than 0: 0 to 1 day. Default 1 min; the host starts without it afterwards.</summary>
    public TimeSpan StartTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// A directory in which the model's counted arrivals are kept, so that a restart of the host does not lose the daily pattern. A relative path is taken from the process's
    /// current directory. Default <see langword="null"/>: nothing is written, and the forecast starts anew with the host.
    /// </summary>
    public string? HistoryDirectory { get; set; }

    /// <summary>How often that is saved, besides at the host's stop: 1 s to 1 day. Default 5 min; a host that is killed loses as much.</summary>
    public TimeSpan HistorySaveInterval { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// A directory that all hosts of the fleet see, in which the one that keeps it holds a lease (<see cref="FileFleetLease"/>): only that one launches and ends machines, and the
    /// others wait to follow it. A relative path is taken from the process's current directory. Default <see langword="null"/>: this host is the only one.
    /// </summary>
    public string? LeaseDirectory { get; set; }

    /// <summary>
    /// For how long the lease is held without being asked for again, which is done three times as often: 1 s to 1 h, the same for all hosts of the fleet. Default 30 s; so
    /// long the fleet may be without a keeper after a host was killed.
    /// </summary>
    public TimeSpan LeaseDuration { get; set; } = TimeSpan.FromSeconds(30);
}
