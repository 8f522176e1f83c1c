namespace MArk.Serving.Scheduling;

/// <summary>What a scheduler is made for.</summary>
internal sealed record SchedulerSettings
{
    public const int NoWeightLimit = int.MaxValue;

    public required string ModelName { get; init; }

    public required TimeSpan Slo { get; init; }

    /// <summary>The largest batch allowed; an instance may allow less.</summary>
    public required int MaxBatchSize { get; init; }

    /// <summary>The most weight a batch may have; no limit by default. The driver refuses a request that is heavier by itself.</summary>
    public int MaxBatchWeight { get; init; } = NoWeightLimit;

    /// <summary>The most requests that wait at a time.</summary>
    public required int MaxQueueLength { get; init; }

    /// <summary>The most bytes that wait at a time.</summary>
    public long MaxQueueBytes { get; init; } = long.MaxValue;

    /// <summary>The share of the queue's bounds kept for each priority class above another; 0 to 0.9.</summary>
    public double PriorityHeadroom { get; init; }

    /// <summary>What tenants count for against each other; 1 where none is given.</summary>
    public IReadOnlyDictionary<string, double> TenantShares { get; init; } = new Dictionary<string, double>();

    /// <summary>How many instances may die under a request before it fails.</summary>
    public int MaxRedeliveries { get; init; } = 2;

    /// <summary>The most extra runs that one failed batch may cause while it is run again in halves.</summary>
    public int MaxRetryRuns { get; init; } = 64;

    /// <summary>How long an instance that failed is out of rotation at first; doubles each time it fails again.</summary>
    public TimeSpan RotationBackoffBase { get; init; } = TimeSpan.FromMilliseconds(100);

    public TimeSpan RotationBackoffMax { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Seeds the jitter of that time.</summary>
    public int Seed { get; init; }

    /// <summary>Makes the batch policy of an offering, named by its index.</summary>
    public required Func<int, IBatchPolicy> CreatePolicy { get; init; }
}
