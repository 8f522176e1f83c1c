using MArk.Serving.Provisioning;

namespace MArk.Serving.Configuration;

/// <summary>The settings of one model. Bound from the configuration section <c>MArk:Models:{name}</c>, then set by the builder.</summary>
public sealed class ModelOptions
{
    internal const string Sections = "MArk:Models";
    internal const int MaxInstances = 1024;
    internal const int MaxThreads = 1024;

    /// <summary>The latency objective: within this time of its arrival a request should be answered. More than 0, at most 1 day. Default 100 ms.</summary>
    public TimeSpan Slo { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>The share of requests that should be answered within the objective: more than 0, less than 1. Default 0.99.</summary>
    public double ServiceLevel { get; set; } = 0.99;

    /// <summary>The largest batch: 1 to 65536. Default 32.</summary>
    public int MaxBatchSize { get; set; } = 32;

    /// <summary>
    /// The most weight of a batch, in the unit of the model's weights (tokens, pixels): at least 1. A request that is heavier by itself is refused.
    /// Default <see langword="null"/>: batches are limited by number alone.
    /// </summary>
    public int? MaxBatchWeight { get; set; }

    /// <summary>The most requests that wait at a time: 1 to 10 million. Default 10000.</summary>
    public int MaxQueueLength { get; set; } = 10_000;

    /// <summary>
    /// The most bytes that the inputs of waiting requests hold, where the runner or <c>WithSize</c> tells how many: 1 to 2^60. A request that is larger by itself is
    /// refused. Default 1 GiB.
    /// </summary>
    public long MaxQueueBytes { get; set; } = 1L << 30;

    /// <summary>
    /// The share of the queue's bounds that is kept for each priority class above another: normal requests find room while less than 1 - h of the bounds is taken,
    /// low ones while less than (1 - h)^2 is, rounded down. 0 to 0.9; default 0. Whatever it is, a request in time makes a full queue give up requests of lower classes.
    /// Late requests leave first, those of the lowest class before others, but none for a request of a lower class that room is kept from.
    /// </summary>
    public double PriorityHeadroom { get; set; }

    /// <summary>
    /// What named tenants (<see cref="InferenceOptions.Tenant"/>) count for against each other: of two that both wait, one of 3 is served thrice the weight of one of 1.
    /// 0.001 to 1000; 1 for those that are not here, and for requests that name none. Default empty.
    /// </summary>
    public Dictionary<string, double> Tenants { get; set; } = new(StringComparer.Ordinal);

    /// <summary>How many instances may die or fail under a request before it fails: 0 to 100. Default 2.</summary>
    public int MaxRedeliveries { get; set; } = 2;

    /// <summary>
    /// A batch that fails as a whole is run again in halves until the request that fails is alone: the most extra runs that this may cost, 0 to 1 million. What is not
    /// alone by then fails together. Default 64.
    /// </summary>
    public int MaxRetryRuns { get; set; } = 64;

    /// <summary>
    /// How many instances serve in this process, where none come from a provider: 1 to 1024. Each is a copy of the model in memory. Default
    /// <see langword="null"/>: a batch function has as many as its concurrency. A runner that computes on threads of its own has as many as the
    /// model's share of the cores, at least one and at most 8; any other runner has one. The models of a host have equal shares, of all cores but
    /// one, which is left to the host's own work while each model has a core without it.
    /// </summary>
    public int? Instances { get; set; }

    /// <summary>
    /// The threads that each of these instances computes on, 0 to 1024, each on a core that no other instance holds as long as there are any; 0
    /// if it computes elsewhere (on a GPU, on another machine) and needs none. Default <see langword="null"/>: 1, and more only where the share
    /// of the cores is larger than the most instances. A runner that was given threads of its own keeps to those.
    /// </summary>
    public int? Threads { get; set; }

    /// <summary>How long a stopping model may take to finish what it accepted: 0 to 1 day. Default 30 s.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The fleet's settings, where instances come from a provider.</summary>
    public FleetOptions Fleet { get; set; } = new();
}
