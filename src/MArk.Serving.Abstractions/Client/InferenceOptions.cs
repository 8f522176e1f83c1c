namespace MArk.Serving;

/// <summary>What one request asks for beyond its input. The default value means: the model's SLO, normal priority, no key, no tenant.</summary>
public readonly record struct InferenceOptions
{
    /// <summary>
    /// The time from now within which the answer is worth having; more than zero. <see langword="null"/>: the model's SLO.
    /// </summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Which requests go first when not all can. Served strictly by class.</summary>
    public RequestPriority Priority { get; init; }

    /// <summary>Requests with different keys (an adapter, a tenant's weights) never share a batch.</summary>
    public string? Key { get; init; }

    /// <summary>Who the request is for, where a model's capacity is shared between tenants: within a priority class each that waits gets its share. <see langword="null"/>: nobody by name.</summary>
    public string? Tenant { get; init; }

    /// <summary>
    /// What to do when the deadline cannot be met by the fleet. <see langword="null"/>:
    /// <see cref="Serving.WhenUnreachable.Spill"/> where the model has a spillover target; failing that
    /// <see cref="Serving.WhenUnreachable.Reject"/> for a deadline given here and
    /// <see cref="Serving.WhenUnreachable.ServeLate"/> for one derived from the SLO.
    /// </summary>
    public WhenUnreachable? WhenUnreachable { get; init; }
}

/// <summary>A request's priority class.</summary>
public enum RequestPriority
{
    /// <summary>Served only when nothing of a higher class waits.</summary>
    Low = -1,

    /// <summary>The default.</summary>
    Normal = 0,

    /// <summary>Served before all others.</summary>
    High = 1,
}

/// <summary>What happens to a request whose deadline the fleet cannot meet.</summary>
public enum WhenUnreachable
{
    /// <summary>
    /// Send it to the spillover target while the target's quote still fits the deadline. Where it does not fit, a deadline the
    /// caller gave is rejected, and one derived from the SLO is served late.
    /// </summary>
    Spill = 0,

    /// <summary>
    /// Keep it: it runs only on capacity that no request in time could use, counts as a miss, and is the first to leave a full queue.
    /// </summary>
    ServeLate = 1,

    /// <summary>Refuse it at once with <see cref="RejectionReason.DeadlineUnreachable"/>.</summary>
    Reject = 2,
}
