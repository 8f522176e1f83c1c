namespace MArk.Serving;

/// <summary>Everything a <see cref="IBatchPolicy"/> may decide from. Times are scheduling time: monotonic since the model started.</summary>
public readonly ref struct BatchContext
{
    private readonly TimeSpan _startsAt;

    /// <summary>Now.</summary>
    public required TimeSpan Now { get; init; }

    /// <summary>When this instance begins on the batch: now, or when it is expected to be done with those it was given before.</summary>
    public TimeSpan StartsAt
    {
        get => _startsAt > Now ? _startsAt : Now;
        init => _startsAt = value;
    }

    /// <summary>
    /// The deadlines of the candidates that fit one batch, in the order they would be taken; ascending within a tenant of a priority class. All of
    /// them may share a batch. At least one, at most <see cref="MaxBatchSize"/>.
    /// </summary>
    public required ReadOnlySpan<TimeSpan> Deadlines { get; init; }

    /// <summary>The earliest deadline among the candidates.</summary>
    public required TimeSpan EarliestDeadline { get; init; }

    /// <summary>When the candidate at the head arrived.</summary>
    public required TimeSpan HeadArrival { get; init; }

    /// <summary>How many candidates wait; at least as many as <see cref="Deadlines"/> holds.</summary>
    public required int QueueLength { get; init; }

    /// <summary>The most requests this instance takes at once.</summary>
    public required int MaxBatchSize { get; init; }

    /// <summary>The total weight of the candidates in <see cref="Deadlines"/>; counted only where there is a <see cref="MaxBatchWeight"/>.</summary>
    public long Weight { get; init; }

    /// <summary>The most weight a batch may have; <see langword="null"/> for no limit.</summary>
    public int? MaxBatchWeight { get; init; }

    /// <summary>Whether the candidates in <see cref="Deadlines"/> are as many as one batch may hold, by number or by weight: waiting for more cannot fill it further.</summary>
    public bool IsFull => Deadlines.Length >= MaxBatchSize || QueueLength > Deadlines.Length || Weight >= MaxBatchWeight;

    /// <summary>How long this instance takes for a batch of each size, refined with every batch.</summary>
    public required LatencyProfile Profile { get; init; }

    /// <summary>How many batches this instance takes now.</summary>
    public required int FreeSlots { get; init; }

    /// <summary>The model's arrival rate over the recent past, requests per second.</summary>
    public required double ArrivalRate { get; init; }

    /// <summary>The instances that serve the model, this one included.</summary>
    public required int ReadyInstances { get; init; }

    /// <summary>Other instances that could take a batch now.</summary>
    public required int OtherIdleInstances { get; init; }

    /// <summary>When the first busy instance is expected to be free; <see langword="null"/> if none is busy.</summary>
    public required TimeSpan? NextInstanceFreeAt { get; init; }
}
