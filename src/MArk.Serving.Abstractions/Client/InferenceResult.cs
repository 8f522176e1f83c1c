using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving;

/// <summary>How a request ended.</summary>
public enum InferenceStatus
{
    /// <summary>There is no result: the value is the default of its type.</summary>
    None = 0,

    /// <summary>The model answered.</summary>
    Succeeded,

    /// <summary>The request was not run; <see cref="InferenceResult{TOut}.RejectionReason"/> says why.</summary>
    Rejected,

    /// <summary>The input, or the memory that the answer is wanted in, does not fit the model; nothing was queued.</summary>
    Invalid,

    /// <summary>The request was run and failed.</summary>
    Failed,

    /// <summary>The caller's token was cancelled.</summary>
    Cancelled,
}

/// <summary>Why a request was not run.</summary>
public enum RejectionReason
{
    /// <summary>It was not rejected.</summary>
    None = 0,

    /// <summary>As many requests, or bytes, wait as the model's queue holds.</summary>
    QueueFull,

    /// <summary>No instance, and no spillover target that may be used, can answer before the deadline.</summary>
    DeadlineUnreachable,

    /// <summary>The model is stopping, or has not started, and takes no new work.</summary>
    Draining,

    /// <summary>There is no instance, none is expected in time, and nothing else may serve the request.</summary>
    NoCapacity,
}

/// <summary>The outcome of one request: an answer, or the reason there is none.</summary>
/// <typeparam name="TOut">What the model answers.</typeparam>
public readonly struct InferenceResult<TOut>
{
    private readonly TOut? _value;
    private readonly object? _source;       // the error, or the name of the model that rejected the request
    private readonly long _retryAfter;      // ticks; negative where a rejection cannot tell
    private readonly byte _status;
    private readonly byte _reason;

    private InferenceResult(InferenceStatus status, TOut? value = default, object? source = null, RejectionReason reason = RejectionReason.None, TimeSpan? retryAfter = null)
    {
        _status = (byte)status;
        _reason = (byte)reason;
        _retryAfter = retryAfter?.Ticks ?? -1;
        _value = value;
        _source = source;
    }

    /// <summary>How the request ended.</summary>
    public InferenceStatus Status => (InferenceStatus)_status;

    /// <summary>Whether <see cref="Value"/> is there.</summary>
    public bool Succeeded => Status == InferenceStatus.Succeeded;

    /// <summary>Whether the spillover target answered, not the fleet.</summary>
    public bool Spilled { get; private init; }

    /// <summary>Whether the answer came by the deadline.</summary>
    public bool InTime { get; private init; }

    /// <summary>Why the request was not run; <see cref="RejectionReason.None"/> unless <see cref="Status"/> is <see cref="InferenceStatus.Rejected"/>.</summary>
    public RejectionReason RejectionReason => (RejectionReason)_reason;

    /// <summary>When to try again, where a rejection can tell.</summary>
    public TimeSpan? RetryAfter => Status == InferenceStatus.Rejected && _retryAfter >= 0 ? new TimeSpan(_retryAfter) : null;

    /// <summary>
    /// What <see cref="IModelClient{TIn, TOut}.InferAsync(TIn, InferenceOptions, CancellationToken)"/> would have thrown; <see langword="null"/> on success and on
    /// cancellation. That of a rejection is made when it is asked for: a caller that reads <see cref="RejectionReason"/> costs no exception.
    /// </summary>
    public ServingException? Error => _source switch
    {
        string modelName => new InferenceRejectedException(modelName, RejectionReason, RetryAfter),
        var error => (ServingException?)error,
    };

    /// <summary>The model's answer.</summary>
    /// <exception cref="InvalidOperationException">There is none: <see cref="Status"/> is not <see cref="InferenceStatus.Succeeded"/>.</exception>
    public TOut Value => Status == InferenceStatus.Succeeded
        ? _value!
        : throw new InvalidOperationException($"There is no value: the request ended as {Status}.", Error);

    /// <summary>Reads the answer if there is one.</summary>
    /// <param name="value">The answer.</param>
    /// <returns>Whether the request succeeded.</returns>
    public bool TryGetValue([MaybeNullWhen(false)] out TOut value)
    {
        value = _value;
        return Status == InferenceStatus.Succeeded;
    }

    /// <summary>An answer.</summary>
    /// <param name="value">The answer.</param>
    /// <param name="inTime">Whether it came by the deadline.</param>
    /// <param name="spilled">Whether the spillover target gave it.</param>
    /// <returns>The outcome.</returns>
    [SuppressMessage("Design", "CA1000", Justification = "Made by clients and their fakes, next to the type they fill.")]
    public static InferenceResult<TOut> Success(TOut value, bool inTime = true, bool spilled = false) =>
        new(InferenceStatus.Succeeded, value) { InTime = inTime, Spilled = spilled };

    /// <summary>A request that ended without an answer.</summary>
    /// <param name="error">Why: rejected, invalid or failed.</param>
    /// <returns>The outcome.</returns>
    [SuppressMessage("Design", "CA1000", Justification = "Made by clients and their fakes, next to the type they fill.")]
    public static InferenceResult<TOut> Failure(ServingException error)
    {
        ArgumentNullException.ThrowIfNull(error);
        return error switch
        {
            InferenceRejectedException rejected => new(InferenceStatus.Rejected, source: rejected, reason: rejected.Reason, retryAfter: rejected.RetryAfter),
            InvalidInputException => new(InferenceStatus.Invalid, source: error),
            _ => new(InferenceStatus.Failed, source: error),
        };
    }

    /// <summary>A request that was not run; allocates nothing.</summary>
    /// <param name="modelName">The model that was asked.</param>
    /// <param name="reason">Why the request was not run.</param>
    /// <param name="retryAfter">When the model expects to take such a request again, if it can tell; not negative.</param>
    /// <returns>The outcome.</returns>
    [SuppressMessage("Design", "CA1000", Justification = "Made by clients and their fakes, next to the type they fill.")]
    public static InferenceResult<TOut> Rejection(string modelName, RejectionReason reason, TimeSpan? retryAfter = null)
    {
        ArgumentNullException.ThrowIfNull(modelName);
        return new(InferenceStatus.Rejected, source: modelName, reason: reason, retryAfter: retryAfter);
    }

    /// <summary>A request whose caller stopped waiting.</summary>
    /// <returns>The outcome.</returns>
    [SuppressMessage("Design", "CA1000", Justification = "Made by clients and their fakes, next to the type they fill.")]
    public static InferenceResult<TOut> Cancellation() => new(InferenceStatus.Cancelled);
}
