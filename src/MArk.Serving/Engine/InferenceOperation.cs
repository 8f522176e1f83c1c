using System.Diagnostics.CodeAnalysis;
using System.Threading.Tasks.Sources;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Engine;

/// <summary>
/// One call of a client, from arrival until its caller has the answer. Reused where no token can cancel it; a cancellable one is not,
/// since the canceller may hold on to it.
/// </summary>
internal sealed class InferenceOperation<TIn, TOut> : IValueTaskSource<TOut>, IValueTaskSource<InferenceResult<TOut>>
{
    private const int Waiting = 0;
    private const int Claimed = 1;
    private const int Ended = 2;

    private readonly ModelEngine<TIn, TOut> _engine;
    private ManualResetValueTaskSourceCore<InferenceResult<TOut>> _core = new() { RunContinuationsAsynchronously = true };
    private InferenceOptions _options;
    private CancellationToken _cancellation;
    private CancellationTokenRegistration _registration;
    private int _state;

    public InferenceOperation(ModelEngine<TIn, TOut> engine) => _engine = engine;

    public TIn Input { get; private set; } = default!;

    public TOut? Destination { get; private set; }

    public bool HasDestination { get; private set; }

    public RequestId Id { get; set; }

    public TimeSpan Arrival { get; private set; }

    public TimeSpan Deadline { get; private set; }

    public short Version => _core.Version;

    public bool IsOf(ModelEngine<TIn, TOut> engine) => _engine == engine;

    /// <summary>The next of those that wait to be taken in.</summary>
    public InferenceOperation<TIn, TOut>? Next { get; set; }

    public ref readonly InferenceOptions Options => ref _options;

    public RequestTraits Traits { get; private set; }

    public void Prepare(TIn input, TOut? destination, bool hasDestination, in RequestTraits traits, in InferenceOptions options)
    {
        Input = input;
        Destination = destination;
        HasDestination = hasDestination;
        Traits = traits;
        _options = options;
        _state = Waiting;
    }

    public void Begin(TimeSpan arrival, TimeSpan deadline)
    {
        Arrival = arrival;
        Deadline = deadline;
    }

    /// <summary>Lets a token end the call. After the arrival, so that the canceller finds the request's name set.</summary>
    public void CancelWith(CancellationToken token)
    {
        _cancellation = token;
        _registration = token.UnsafeRegister(static state => ((InferenceOperation<TIn, TOut>)state!).Cancel(), this);
    }

    private void Cancel()
    {
        if (Interlocked.CompareExchange(ref _state, Ended, Waiting) == Waiting)
        {
            _engine.OnCancelled(this);
            _core.SetResult(InferenceResult<TOut>.Cancellation());
        }
    }

    /// <summary>Reserves the caller's memory for the answer of one run: from here only an answer ends the call. A run that is thought lost may still write there, so the next one does not get it.</summary>
    public bool TryClaimDestination([MaybeNullWhen(false)] out TOut destination)
    {
        destination = Destination;
        return HasDestination && Interlocked.CompareExchange(ref _state, Claimed, Waiting) == Waiting;
    }

    /// <summary>The run that had reserved the memory is over without an answer.</summary>
    public void ReleaseDestination() => Interlocked.CompareExchange(ref _state, Waiting, Claimed);

    /// <summary>Ends the call, unless its caller has already gone.</summary>
    public bool TryEnd(in InferenceResult<TOut> result)
    {
        if (Interlocked.Exchange(ref _state, Ended) == Ended)
        {
            return false;
        }
        _core.SetResult(result);
        return true;
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
        var result = _core.GetResult(token);
        cancellation = _cancellation;
        Input = default!;
        Destination = default;
        _options = default;
        if (cancellation.CanBeCanceled)
        {
            _registration.Dispose();
        }
        else
        {
            _core.Reset();
            _engine.Recycle(this);
        }
        return result;
    }
}
