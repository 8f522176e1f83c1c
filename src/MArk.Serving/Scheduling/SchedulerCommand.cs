namespace MArk.Serving.Scheduling;

/// <summary>What the driver is to do.</summary>
internal enum SchedulerCommandKind : byte
{
    /// <summary>Run <see cref="SchedulerCommand.Batch"/> on its instance.</summary>
    Dispatch = 0,

    /// <summary>Send the request to the spillover target.</summary>
    Spill,

    /// <summary>End the request: <see cref="SchedulerCommand.Reason"/>.</summary>
    Reject,

    /// <summary>End the request as failed: the run it was alone in failed, or too many instances died under it.</summary>
    Fail,

    /// <summary>Call <c>OnWakeUp</c> at <see cref="SchedulerCommand.At"/>, instead of any instant named before.</summary>
    WakeAt,

    /// <summary>The draining instance runs nothing any more, and is forgotten.</summary>
    InstanceDrained,

    /// <summary>Run a sample on <see cref="SchedulerCommand.Instance"/>, which failed, and tell by <c>OnProbeCompleted</c>, or <c>OnProbeImpossible</c> where there is no sample.</summary>
    Probe,

    /// <summary>Ask the spillover target for a fresh quote: the last one has expired.</summary>
    RefreshQuote,

    /// <summary>Report <see cref="SchedulerCommand.Error"/>: a policy answered outside its contract.</summary>
    Fault,

    /// <summary>The stopping model holds no request any more.</summary>
    Drained,
}

/// <summary>One command. Only the members its kind names are set.</summary>
internal readonly record struct SchedulerCommand(SchedulerCommandKind Kind)
{
    /// <summary>The request's slot. A rejected or failed request has already left the scheduler, so its slot may be given away by the next event.</summary>
    public int Slot { get; init; }

    public DispatchedBatch? Batch { get; init; }

    public SchedulerInstance? Instance { get; init; }

    public RejectionReason Reason { get; init; }

    /// <summary>With a rejection: when such a request can expect to be taken.</summary>
    public TimeSpan? RetryAfter { get; init; }

    public TimeSpan At { get; init; }

    public ServingException? Error { get; init; }
}
