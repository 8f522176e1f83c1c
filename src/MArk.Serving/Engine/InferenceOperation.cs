using System.Diagnostics.CodeAnalysis;
using System.Threading.Tasks.Sources;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Engine;

/// <summary>
/// One call of a client, from arrival until its caller has the answer. Reused, unless its token has fired: then the canceller may hold on to it.
/// </summary>
internal sealed class InferenceOperation<TIn, TOut> : SpareOperation, IValueTaskSource<TOut>, IValueTaskSource<InferenceResult<TOut>>
{
    // The state of a call that has not ended has the call's number in it, so that who knows only an earlier call of this object does nothing to a later one.
    private const int Claimed = 1;
    private const int Ended = 2;
    private const int NextCall = 4;

    private readonly ModelEngine<TIn, TOut> _engine;
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };     // only the signal
    private InferenceOptions _options;      // the defaults, unless the caller asked for others
    private InferenceResult<TOut> _result;
    private CancellationToken _cancellation;
    private CancellationTokenRegistration _registration;
    private int _call;      // the state in which it waits
    private int _state;
    private bool _isAbandoned;

    public InferenceOperation(ModelEngine<TIn, TOut> engine) => _engine = engine;

    public TIn Input { get; private set; } = default!;

    public TOut? Destination { get; private set; }

    public bool HasDestination { get; private set; }

    public RequestId Id { get; set; }

    public TimeSpan Arrival { get; set; }

    /// <summary>When it arrived, on a clock that costs less to read and is coarser.</summary>
    public long ArrivalTick { get; set; }

    public TimeSpan Deadline { get; private set; }

    public short Version => _core.Version;

    public override bool HasEnded => _engine.HasEnded;

    public bool IsOf(ModelEngine<TIn, TOut> engine) => _engine == engine;

    /// <summary>The next of those that wait to be taken in.</summary>
    public InferenceOperation<TIn, TOut>? Next { get; set; }

    /// <summary>Whether the caller asked for anything but the defaults.</summary>
    public bool HasOptions { get; private set; }

    public ref readonly InferenceOptions Options => ref _options;

    // What the runner's factory said of the input.
    public long ShapeKey { get; private set; }

    public int Weight { get; private set; }

    public long Bytes { get; private set; }

    /// <summary>Whether another came at the same instant and asks for the same: for nothing but the defaults, of an input like this one's.</summary>
    public bool IsLike(InferenceOperation<TIn, TOut> other) =>
        !HasOptions && !other.HasOptions && Arrival == other.Arrival && ShapeKey == other.ShapeKey && Weight == other.Weight && Bytes == other.Bytes;

    /// <summary>Whether the scheduler knows of it; under the engine's lock.</summary>
    public bool IsTakenIn { get; private set; }

    public void Prepare(TIn input, in RequestTraits traits)
    {
        IsTakenIn = false;
        Input = input;
        HasDestination = false;
        HasOptions = false;
        // One by one: a copy of the whole is slow right after it was written in parts.
        ShapeKey = traits.ShapeKey;
        Weight = traits.Weight;
        Bytes = traits.Bytes;
        _state = _call = unchecked(_call + NextCall);
    }

    /// <summary>Where the caller wants the answer.</summary>
    public void AnswerInto(TOut? destination)
    {
        Destination = destination;
        HasDestination = true;
    }

    /// <summary>What the caller asks for.</summary>
    public void AskFor(in InferenceOptions options)
    {
        _options = options;
        HasOptions = true;
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

    public void Cancel() => Cancel(_call);

    private void Cancel(int call)
    {
        if (Interlocked.CompareExchange(ref _state, Ended, call) == call)
        {
            _engine.OnCancelled(this);
            _result = InferenceResult<TOut>.Cancellation();
            _core.SetResult(true);
        }
    }

    /// <summary>Reserves the caller's memory for the answer of one run: from here only an answer ends the call. A run that is thought lost may still write there, so the next one does not get it.</summary>
    /// <param name="destination">The memory.</param>
    /// <param name="claim">What the run gives it back with.</param>
    public bool TryClaimDestination([MaybeNullWhen(false)] out TOut destination, out int claim)
    {
        var call = _call;
        destination = Destination;
        claim = call | Claimed;
        return HasDestination && Interlocked.CompareExchange(ref _state, claim, call) == call;
    }

    /// <summary>
    /// The run that had reserved the memory is over without an answer. A token that fired meanwhile found the memory reserved, and ends the call now.
    /// Nothing if the call has ended.
    /// </summary>
    public void ReleaseDestination(int claim)
    {
        var call = claim & ~Claimed;
        if (Interlocked.CompareExchange(ref _state, call, claim) == claim && _cancellation.IsCancellationRequested)
        {
            Cancel(call);
        }
    }

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
        _core.GetResult(token);
        if (_result.TryGetValue(out var value))
        {
            Retire();
            return value;
        }
        var (result, cancellation) = (_result, _cancellation);
        Retire();
        throw result.Status == InferenceStatus.Cancelled ? new OperationCanceledException(cancellation) : result.Error!;
    }

    InferenceResult<TOut> IValueTaskSource<InferenceResult<TOut>>.GetResult(short token)
    {
        _core.GetResult(token);
        var result = _result;
        Retire();
        return result;
    }

    ValueTaskSourceStatus IValueTaskSource<TOut>.GetStatus(short token) => _core.GetStatus(token);

    ValueTaskSourceStatus IValueTaskSource<InferenceResult<TOut>>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<TOut>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource<InferenceResult<TOut>>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    /// <summary>The caller has its answer: lets go of what is the caller's, and is used for another call.</summary>
    private void Retire()
    {
        Input = default!;
        if (HasDestination)
        {
            Destination = default;
        }
        if (HasOptions)
        {
            _options = default;
        }
        if (_isAbandoned || (_cancellation.CanBeCanceled && !_registration.Unregister()))
        {
            return;
        }
        if (_cancellation.CanBeCanceled)
        {
            _cancellation = default;
            _registration = default;
        }
        _core.Reset();
        _core.RunContinuationsAsynchronously = true;
        _result = default;
        _engine.Recycle(this);
    }
}
