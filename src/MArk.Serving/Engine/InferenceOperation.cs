using System.Diagnostics.CodeAnalysis;
using System.Threading.Tasks.Sources;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Engine;

/// <summary>
/// One call of a client, from arrival until its caller has the answer. Reused, unless its token has fired: then the canceller may hold on to it.
/// </summary>
internal sealed class InferenceOperation<TIn, TOut> : IValueTaskSource<TOut>, IValueTaskSource<InferenceResult<TOut>>
{
    private const int Waiting = 0;
    private const int Claimed = 1;
    private const int Ended = 2;

    private readonly ModelEngine<TIn, TOut> _engine;
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };     // only the signal
    private InferenceOptions _options;
    private InferenceResult<TOut> _result;
    private CancellationToken _cancellation;
    private CancellationTokenRegistration _registration;
    private int _state;
    private bool _isAbandoned;

    public InferenceOperation(ModelEngine<TIn, TOut> engine) => _engine = engine;

    public TIn Input { get; private set; } = default!;

    public TOut? Destination { get; private set; }

    public bool HasDestination { get; private set; }

    public RequestId Id { get; set; }

    public TimeSpan Arrival { get; set; }

    public TimeSpan Deadline { get; private set; }

    public short Version => _core.Version;

    public bool IsOf(ModelEngine<TIn, TOut> engine) => _engine == engine;

    /// <summary>The next of those that wait to be taken in.</summary>
    public InferenceOperation<TIn, TOut>? Next { get; set; }

    public ref readonly InferenceOptions Options => ref _options;

    public RequestTraits Traits { get; private set; }

    /// <summary>Whether the scheduler knows of it; under the engine's lock.</summary>
    public bool IsTakenIn { get; private set; }

    public void Prepare(TIn input, TOut? destination, bool hasDestination, in RequestTraits traits, in InferenceOptions options)
    {
        IsTakenIn = false;
        Input = input;
        Destination = destination;
        HasDestination = hasDestination;
        Traits = traits;
        _options = options;
        _state = Waiting;
    }

    /// <summary>The scheduler is about to be told of it, unless it was cancelled before.</summary>
    public bool TryTakeIn(TimeSpan deadline)
    {
        Deadline = deadline;
        return IsTakenIn = Volatile.Read(ref _state) != Ended;
    }

    /// <summary>Lets a token end the call.</summary>
    public void CancelWith(CancellationToken token)
    {
        _cancellation = token;
        _registration = token.UnsafeRegister(static state => ((InferenceOperation<TIn, TOut>)state!).Cancel(), this);
    }

    public void Cancel()
    {
        if (Interlocked.CompareExchange(ref _state, Ended, Waiting) == Waiting)
        {
            _engine.OnCancelled(this);
            _result = InferenceResult<TOut>.Cancellation();
            _core.SetResult(true);
        }
    }

    /// <summary>Reserves the caller's memory for the answer of one run: from here only an answer ends the call. A run that is thought lost may still write there, so the next one does not get it.</summary>
    public bool TryClaimDestination([MaybeNullWhen(false)] out TOut destination)
    {
        destination = Destination;
        return HasDestination && Interlocked.CompareExchange(ref _state, Claimed, Waiting) == Waiting;
    }

    /// <summary>The run that had reserved the memory is over without an answer.</summary>
    /// <returns>Whether its token fired meanwhile, found the memory reserved, and could not end the call: <see cref="Cancel"/> is due.</returns>
    public bool ReleaseDestination() =>
        Interlocked.CompareExchange(ref _state, Waiting, Claimed) == Claimed && _cancellation.IsCancellationRequested;

    /// <summary>Ends the call while a runner may still hold it: it is not used for another.</summary>
    public bool TryAbandon(in InferenceResult<TOut> result)
    {
        _isAbandoned = true;
        return TryAnswer(result);
    }

    /// <summary>Ends the call, unless its caller has already gone; the caller goes on with <see cref="Deliver"/> or <see cref="Signal"/>.</summary>
    public bool TryAnswer(in InferenceResult<TOut> result)
    {
        if (Interlocked.Exchange(ref _state, Ended) == Ended)
        {
            return false;
        }
        _result = result;
        return true;
    }

    /// <summary>Lets the caller go on, on a thread of the pool.</summary>
    public void Signal() => _core.SetResult(true);

    /// <summary>Lets the caller go on, on this thread.</summary>
    public void Deliver()
    {
        _core.RunContinuationsAsynchronously = false;
        _core.SetResult(true);
    }

    TOut IValueTaskSource<TOut>.GetResult(short token)
    {
        var result = Take(token, out var cancellation);
        return result.Status switch
        {
            InferenceStatus.Succeeded => result.Value,
            InferenceStatus.Cancelled => throw new OperationCanceledException(cancellation),
            _ => throw result.Error!,
        };
    }

    InferenceResult<TOut> IValueTaskSource<InferenceResult<TOut>>.GetResult(short token) => Take(token, out _);

    ValueTaskSourceStatus IValueTaskSource<TOut>.GetStatus(short token) => _core.GetStatus(token);

    ValueTaskSourceStatus IValueTaskSource<InferenceResult<TOut>>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<TOut>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource<InferenceResult<TOut>>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private InferenceResult<TOut> Take(short token, out CancellationToken cancellation)
    {
        _core.GetResult(token);
        var result = _result;
        cancellation = _cancellation;
        Input = default!;
        Destination = default;
        _options = default;
        if (!_isAbandoned && (!cancellation.CanBeCanceled || _registration.Unregister()))
        {
            _cancellation = default;
            _registration = default;
            _core.Reset();
            _core.RunContinuationsAsynchronously = true;
            _result = default;
            _engine.Recycle(this);
        }
        return result;
    }
}
