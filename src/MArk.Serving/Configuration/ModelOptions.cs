using MArk.Serving.Provisioning;

namespace MArk.Serving.Configuration;

/// <summary>The settings of one model. Bound from the configuration section <c>MArk:Models:{name}</c>, then set by the builder.</summary>
public sealed class ModelOptions
{
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

    /// <summary>How many instances may die or fail under a request before it fails: 0 to 100. Default 2.</summary>
    public int MaxRedeliveries { get; set; } = 2;

    /// <summary>
    /// A batch that fails as a whole is run again in halves until the request that fails is alone: the most extra runs that this may cost, 0 to 1 million. What is not
    /// alone by then fails together. Default 64.
    /// </summary>
    public int MaxRetryRuns { get; set; } = 64;

    /// <summary>How long a stopping model may take to finish what it accepted: 0 to 1 day. Default 30 s.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The fleet's settings, where instances come from a provider.</summary>
    public FleetOptions Fleet { get; set; } = new();
}
