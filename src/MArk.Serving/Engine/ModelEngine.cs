using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using MArk.Serving.Diagnostics;
using MArk.Serving.Provisioning;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Engine;

/// <summary>
/// Carries out the scheduler's commands for one model with real threads and real time. The lock is held while the scheduler decides
/// and never while a command is carried out or user code runs.
/// </summary>
internal sealed partial class ModelEngine<TIn, TOut> : IModelClient<TIn, TOut>, IModelReloader<TIn, TOut>, IModelRuntime, IAsyncDisposable
{
    // The latest deadline: late enough for anybody, and times can be added to it.
    private static readonly TimeSpan FarFuture = TimeSpan.MaxValue / 2;

    private const int MaxPooled = 4096;
    private const double MaxTimerMs = 24 * 60 * 60 * 1000;

    [ThreadStatic]
    private static List<Effect<TIn, TOut>>? t_effects;

    private readonly EngineParts<TIn, TOut> _parts;
    private readonly TimeProvider _time;
    private readonly long _origin;
    private readonly Lock _gate = new();
    private readonly Lock _timerGate = new();
    private readonly ModelScheduler _scheduler;
    private readonly ITimer _timer;
    private readonly ConcurrentQueue<InferenceOperation<TIn, TOut>> _pool = new();
    private readonly ConcurrentQueue<BatchWork<TIn, TOut>> _spareWork = new();
    private readonly Dictionary<int, InstanceWorker<TIn, TOut>> _workers = [];
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ServingCounters _counters = new();
    private readonly CostLedger _ledger = new();
    private readonly DateTimeOffset _utcOrigin;
    private InferenceOperation<TIn, TOut>?[] _bySlot = new InferenceOperation<TIn, TOut>?[64];
    private TimeSpan _wakeAt = TimeSpan.MaxValue;     // the instant the scheduler named last, under the lock
    private TimeSpan _armedAt = TimeSpan.MaxValue;    // the instant the timer is set to, under the lock
    private volatile bool _hasThreads;      // whether an instance has threads of its own; set under the lock
    private volatile bool _started;
    private volatile bool _ended;
    private int _nextInstance;
    private int _pooled;
    // Requests that were not admitted, for the scheduler never heard of them.
    private long _invalid;
    private long _rejectedAtOnce;
    private long _failedAtOnce;
    private TimeSpan _startedAt;
    private readonly ServingInstruments _instruments;
    private readonly RequestLimits _limits;

    public ModelEngine(EngineParts<TIn, TOut> parts)
    {
        _parts = parts;
        _time = parts.Time;
        _origin = _time.GetTimestamp();
        _utcOrigin = _time.GetUtcNow();
        _factory = parts.RunnerFactory;
        _scheduler = new ModelScheduler(new SchedulerSettings
        {
            ModelName = parts.ModelName,
            Slo = parts.Options.Slo,
            MaxBatchSize = parts.Options.MaxBatchSize,
            MaxBatchWeight = parts.Options.MaxBatchWeight ?? SchedulerSettings.NoWeightLimit,
            MaxQueueLength = parts.Options.MaxQueueLength,
            MaxQueueBytes = parts.Options.MaxQueueBytes,
            PriorityHeadroom = parts.Options.PriorityHeadroom,
            TenantShares = parts.Options.Tenants,
            MaxRedeliveries = parts.Options.MaxRedeliveries,
            MaxRetryRuns = parts.Options.MaxRetryRuns,
            Seed = parts.Seed,
            CreatePolicy = offering => _policies[offering],
        });
        _limits = new RequestLimits(parts.Options);
        _turn = new Turn(this, isFurther: false);
        _furtherTurn = new Turn(this, isFurther: true);
        _stuckTimer = new QuickTimer(OnStuckTimer);
        _instruments = new ServingInstruments(parts.Meter, this);
        _timer = OwnContext.CreateTimer(_time, OnTimer);
    }

    public string ModelName => _parts.ModelName;

    public string RunnerName => _factory.GetType().Name;

    /// <summary>The tensors of the version that serves, where they are known.</summary>
    public ModelSignature? Signature => _factory.Signature;

    /// <summary>Scheduling time: since the engine was made, monotonic.</summary>
    public TimeSpan Now => _time.GetElapsedTime(_origin);

    public ValueTask<TOut> InferAsync(TIn input, InferenceOptions options = default, CancellationToken cancellationToken = default) =>
        InferAsync(input, default, hasDestination: false, options, cancellationToken);

    public ValueTask<TOut> InferIntoAsync(TIn input, TOut destination, InferenceOptions options = default, CancellationToken cancellationToken = default) =>
        InferAsync(input, destination, hasDestination: true, options, cancellationToken);

    public ValueTask<InferenceResult<TOut>> TryInferAsync(TIn input, InferenceOptions options = default, CancellationToken cancellationToken = default) =>
        TryInferAsync(input, default, hasDestination: false, options, cancellationToken);

    public ValueTask<InferenceResult<TOut>> TryInferIntoAsync(TIn input, TOut destination, InferenceOptions options = default, CancellationToken cancellationToken = default) =>
        TryInferAsync(input, destination, hasDestination: true, options, cancellationToken);

    private ValueTask<TOut> InferAsync(TIn input, TOut? destination, bool hasDestination, in InferenceOptions options, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<TOut>(cancellationToken);
        }
        if (TryBegin(input, destination, hasDestination, options, cancellationToken, out var operation, out var error))
        {
            return new ValueTask<TOut>(operation, operation.Version);
        }
        return ValueTask.FromException<TOut>(error!);
    }

    private ValueTask<InferenceResult<TOut>> TryInferAsync(TIn input, TOut? destination, bool hasDestination, in InferenceOptions options, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return new ValueTask<InferenceResult<TOut>>(InferenceResult<TOut>.Cancellation());
        }
        if (TryBegin(input, destination, hasDestination, options, cancellationToken, out var operation, out var error))
        {
            return new ValueTask<InferenceResult<TOut>>(operation, operation.Version);
        }
        return new ValueTask<InferenceResult<TOut>>(InferenceResult<TOut>.Failure(error!));
    }

    private bool TryBegin(
        TIn input, TOut? destination, bool hasDestination, in InferenceOptions options, CancellationToken cancellationToken,
        out InferenceOperation<TIn, TOut> operation, out ServingException? error)
    {
        operation = null!;
        RequestTraits traits = default;
        var asks = AsksForAnything(options);
        error = asks ? Refusal(options) : null;
        error ??= Admit(input, out traits);
        if (hasDestination)
        {
            error ??= AdmitDestination(input, destination);
        }
        if (error is not null)
        {
            CountRefused(error);
            return false;
        }
        operation = TakeOperation();
        operation.Prepare(input, traits);
        if (asks)
        {
            operation.AskFor(options);
        }
        if (hasDestination)
        {
            operation.AnswerInto(destination);
        }
        Submit(operation, operation);
        if (cancellationToken.CanBeCanceled)
        {
            operation.CancelWith(cancellationToken);
        }
        return true;
    }

    public async ValueTask<InferenceResult<TOut>[]> TryInferManyAsync(ReadOnlyMemory<TIn> inputs, InferenceOptions options = default, CancellationToken cancellationToken = default)
    {
        var results = new InferenceResult<TOut>[inputs.Length];
        if (cancellationToken.IsCancellationRequested)
        {
            Array.Fill(results, InferenceResult<TOut>.Cancellation());
            return results;
        }
        var calls = Begin(inputs.Span, options, results);
        if (cancellationToken.CanBeCanceled)
        {
            foreach (var call in calls)
            {
                call?.CancelWith(cancellationToken);
            }
        }
        for (var i = 0; i < calls.Length; i++)
        {
            if (calls[i] is { } call)
            {
                results[i] = await new ValueTask<InferenceResult<TOut>>(call, call.Version).ConfigureAwait(false);
            }
        }
        return results;
    }

    /// <summary>Leaves calls that came together in the inbox at once.</summary>
    /// <returns>The calls; none for an input that is not admitted, whose result says why.</returns>
    private InferenceOperation<TIn, TOut>?[] Begin(ReadOnlySpan<TIn> inputs, in InferenceOptions options, Span<InferenceResult<TOut>> results)
    {
        var calls = new InferenceOperation<TIn, TOut>?[inputs.Length];
        InferenceOperation<TIn, TOut>? oldest = null, newest = null;
        var asks = AsksForAnything(options);
        var isRefused = asks && Refusal(options) is not null;
        for (var i = 0; i < calls.Length; i++)
        {
            RequestTraits traits = default;
            // An error of its own for each: it may be thrown.
            if ((isRefused ? Refusal(options) : Admit(inputs[i], out traits)) is { } error)
            {
                CountRefused(error);
                results[i] = InferenceResult<TOut>.Failure(error);
                continue;
            }
            var call = calls[i] = TakeOperation();
            call.Prepare(inputs[i], traits);
            if (asks)
            {
                call.AskFor(options);
            }
            call.Next = newest;
            newest = call;
            oldest ??= call;
        }
        if (newest is not null)
        {
            Submit(oldest!, newest);
        }
        return calls;
    }

    private static bool AsksForAnything(in InferenceOptions options) =>
        options.Timeout is not null || options.Priority != RequestPriority.Normal || options.Key is not null || options.Tenant is not null || options.WhenUnreachable is not null;

    private static InvalidInputException? Refusal(in InferenceOptions options) => options switch
    {
        { Timeout: { } timeout } when timeout <= TimeSpan.Zero =>
            new InvalidInputException("options.Timeout", $"it is {timeout}; a timeout must be more than zero."),
        { Priority: < RequestPriority.Low or > RequestPriority.High } =>
            new InvalidInputException("options.Priority", $"it is {(int)options.Priority}; accepted: Low (-1), Normal (0), High (1)."),
        { WhenUnreachable: { } mode and (< WhenUnreachable.Spill or > WhenUnreachable.Reject) } =>
            new InvalidInputException("options.WhenUnreachable", $"it is {(int)mode}; accepted: Spill (0), ServeLate (1), Reject (2)."),
        _ => null,
    };

    /// <summary>Has the runner's factory look at an input.</summary>
    /// <returns>Why it is not taken; nothing if it is.</returns>
    private ServingException? Admit(TIn input, out RequestTraits traits)
    {
        try
        {
            traits = _parts.Traits(_factory, input);
            return _limits.Allow(traits) ? null : _limits.ErrorOf(traits);
        }
        catch (Exception e)
        {
            traits = default;
            return e as ServingException ?? new InferenceFailedException(ModelName, $"its input could not be checked: {e.Message}", e);
        }
    }

    private ServingException? AdmitDestination(TIn input, TOut? destination)
    {
        try
        {
            _factory.AdmitDestination(input, destination);
            return null;
        }
        catch (Exception e)
        {
            return e as ServingException ?? new InferenceFailedException(ModelName, $"its destination could not be checked: {e.Message}", e);
        }
    }

    private void CountRefused(ServingException error)
    {
        if (error is InvalidInputException)
        {
            Interlocked.Increment(ref _invalid);
        }
        else if (error is InferenceRejectedException)
        {
            Interlocked.Increment(ref _rejectedAtOnce);
        }
        else
        {
            Interlocked.Increment(ref _failedAtOnce);
        }
    }

    private void Hold(InferenceOperation<TIn, TOut> operation)
    {
        var slot = operation.Id.Slot;
        if (slot >= _bySlot.Length)
        {
            MakeRoomFor(slot);
        }
        _bySlot[slot] = operation;
    }

    private void MakeRoomFor(int slot) => Array.Resize(ref _bySlot, Math.Max(slot + 1, _bySlot.Length * 2));

    /// <summary>Puts an operation whose caller has its answer back to use.</summary>
    public void Recycle(InferenceOperation<TIn, TOut> operation)
    {
        // The thread that has an answer often asks next.
        // A model that has ended, and all it holds, is not kept for a call that will not come.
        if (SpareOperation.OfThread is not { } spare || spare.HasEnded)
        {
            SpareOperation.OfThread = operation;
        }
        else if (Interlocked.Increment(ref _pooled) <= MaxPooled)
        {
            _pool.Enqueue(operation);
        }
        else
        {
            Interlocked.Decrement(ref _pooled);
        }
    }

    private InferenceOperation<TIn, TOut> TakeOperation()
    {
        if (SpareOperation.OfThread is InferenceOperation<TIn, TOut> spare && spare.IsOf(this))
        {
            SpareOperation.OfThread = null;
            return spare;
        }
        if (_pool.TryDequeue(out var operation))
        {
            Interlocked.Decrement(ref _pooled);
            return operation;
        }
        return new InferenceOperation<TIn, TOut>(this);
    }

    /// <summary>Whether the model was stopped.</summary>
    public bool HasEnded => _ended;

    public void Report(ServingException error) => Report(() => _parts.Report(error));

    private static void Report(Action report)
    {
        try
        {
            report();
        }
        catch (Exception e)
        {
            // The host's logger is broken: there is nobody left to tell, and serving goes on.
            System.Diagnostics.Debug.WriteLine(e);
        }
    }

    private void Record(BatchWork<TIn, TOut> work)
    {
        try
        {
            _instruments.Record(work);
        }
        catch (Exception e)
        {
            Report(new ServingException($"A listener to the meter {ServingInstruments.Name} threw: {e.Message}", e));
        }
    }

    private void OnTimer()
    {
        List<Effect<TIn, TOut>>? effects = null;
        var isEarly = false;
        lock (_gate)
        {
            _armedAt = TimeSpan.MaxValue;
            var now = Now;
            if (now < _wakeAt)
            {
                // The instant was put off after the timer was armed, or the timer's milliseconds are coarser than the clock.
                isEarly = _wakeAt != TimeSpan.MaxValue;
            }
            else
            {
                _wakeAt = TimeSpan.MaxValue;
                _scheduler.OnWakeUp(now);
                effects = Collect(null);
            }
        }
        if (isEarly)
        {
            ArmTimer();
        }
        Execute(effects);
        TakeInArrivals();
    }

    /// <summary>Turns commands, which name slots, into effects, which hold what the slots stand for; under the lock.</summary>
    /// <param name="failure">Why what fails does.</param>
    /// <param name="effects">Those there are already.</param>
    /// <param name="arriving">The call that arrives, whose caller has not gone to wait yet.</param>
    private List<Effect<TIn, TOut>>? Collect(Exception? failure, List<Effect<TIn, TOut>>? effects = null, InferenceOperation<TIn, TOut>? arriving = null)
    {
        if (_hasThreads && _scheduler.HasIdleInstance is var hasIdle && hasIdle != _hasIdleThread)
        {
            // Written seldom: the line is read by all.
            _hasIdleThread = hasIdle;
        }
        if (_scheduler.Commands.IsEmpty)
        {
            return effects;
        }
        effects ??= TakeEffects();
        foreach (var command in _scheduler.Commands)
        {
            switch (command.Kind)
            {
                case SchedulerCommandKind.Dispatch:
                    effects.Add(new(command.Kind, null, Gather(command.Batch!, _workers[command.Batch!.Instance.Id]), null));
                    break;
                case SchedulerCommandKind.Spill:
                    // Its input is read here, since the call may end, and let go of it, before the effect is carried out.
                    var spilled = new BatchWork<TIn, TOut>(this);
                    spilled.Begin(null, null, 1);
                    spilled.Add(_bySlot[command.Slot]!);
                    effects.Add(new(command.Kind, _bySlot[command.Slot], spilled, null) { Slot = command.Slot });
                    break;
                // What has ended already, by its token or by a hard stop, was counted there.
                case SchedulerCommandKind.Reject:
                    if (TakeSlot(command.Slot) is { } rejected
                        && rejected.TryAnswer(InferenceResult<TOut>.Rejection(ModelName, command.Reason, command.RetryAfter)))
                    {
                        _counters.Rejected++;
                        effects.Add(new(command.Kind, rejected, null, null) { MayWait = command.Reason == RejectionReason.QueueFull && rejected != arriving });
                    }
                    break;
                case SchedulerCommandKind.Fail:
                    if (TakeSlot(command.Slot) is { } failed && failed.TryAnswer(InferenceResult<TOut>.Failure(Failure(failure))))
                    {
                        _counters.Failed++;
                        _counters.Outcomes?.TakeBack(failed.Arrival, failed.Deadline);
                        effects.Add(new(command.Kind, failed, null, null));
                    }
                    break;
                case SchedulerCommandKind.WakeAt:
                    _wakeAt = command.At;
                    if (_wakeAt < _armedAt)
                    {
                        effects.Add(new(command.Kind, null, null, null));
                    }
                    break;
                case SchedulerCommandKind.Probe:
                    if (_workers.TryGetValue(command.Instance!.Id, out var probed))
                    {
                        effects.Add(new(command.Kind, null, null, probed));
                    }
                    break;
                case SchedulerCommandKind.Fault:
                    effects.Add(new(command.Kind, null, null, null) { Error = command.Error });
                    break;
                case SchedulerCommandKind.InstanceDrained:
                    if (_workers.Remove(command.Instance!.Id, out var drained))
                    {
                        effects.Add(new(command.Kind, null, null, drained));
                    }
                    break;
                default:
                    effects.Add(new(command.Kind, null, null, null));
                    break;
            }
        }
        _scheduler.ClearCommands();
        return effects;
    }

    /// <summary>What a caller is told of an error in a run. Its input was taken: what does not fit then is a failure too.</summary>
    public ServingException FailureOf(Exception error) =>
        error is ServingException known and not InvalidInputException ? known : new InferenceFailedException(ModelName, error.Message, error);

    private ServingException Failure(Exception? failure) => failure switch
    {
        InstanceFailedException atFault => new InferenceFailedException(
            ModelName, $"more than {_parts.Options.MaxRedeliveries} instances were lost or failed while it ran; the last one: {atFault.Message}", atFault),
        null => new InferenceFailedException(ModelName, $"more than {_parts.Options.MaxRedeliveries} instances were lost while it ran."),
        _ => FailureOf(failure),
    };

    private InferenceOperation<TIn, TOut>? TakeSlot(int slot)
    {
        var operation = _bySlot[slot];
        _bySlot[slot] = null;
        return operation;
    }

    private BatchWork<TIn, TOut> Gather(DispatchedBatch batch, InstanceWorker<TIn, TOut> worker)
    {
        var work = _spareWork.TryDequeue(out var spare) ? spare : new BatchWork<TIn, TOut>(this);
        work.Begin(batch, worker, batch.Count);
        foreach (var slot in batch.Slots)
        {
            work.Add(_bySlot[slot]!);
        }
        batch.Tag = work;
        return work;
    }

    /// <summary>Carries effects out, outside the lock.</summary>
    /// <param name="effects">What to do; nothing if there is nothing.</param>
    /// <param name="next">The batch this thread runs next, if it is known; set where there is one.</param>
    /// <param name="worker">The instance this thread runs batches of; any that has no threads of its own, if none is named and this thread takes a turn.</param>
    /// <param name="runs">Whether this thread runs a batch afterwards. A caller's thread, or a timer's, does not.</param>
    private void Execute(List<Effect<TIn, TOut>>? effects, ref BatchWork<TIn, TOut>? next, InstanceWorker<TIn, TOut>? worker, bool runs)
    {
        if (effects is null)
        {
            return;
        }
        foreach (ref readonly var effect in CollectionsMarshal.AsSpan(effects))
        {
            switch (effect.Kind)
            {
                case SchedulerCommandKind.Dispatch when runs && next is null && (worker is null ? effect.Work!.Worker!.RunsOnPool : effect.Work!.Worker == worker):
                    next = effect.Work;
                    break;
                case SchedulerCommandKind.Dispatch:
                    effect.Work!.Worker!.Enqueue(effect.Work);
                    break;
                case SchedulerCommandKind.Spill:
                    _ = SpillAsync(effect.Work!, effect.Operation!, effect.Slot);
                    break;
                case SchedulerCommandKind.Reject when effect.MayWait:
                    DeliverLater(effect.Operation!);
                    break;
                case SchedulerCommandKind.Reject or SchedulerCommandKind.Fail:
                    effect.Operation!.Signal();
                    break;
                case SchedulerCommandKind.WakeAt:
                    ArmTimer();
                    break;
                case SchedulerCommandKind.Fault:
                    Report(effect.Error!);
                    break;
                case SchedulerCommandKind.InstanceDrained:
                    OnInstanceDrained(effect.Worker!);
                    break;
                case SchedulerCommandKind.Probe:
                    _ = ProbeAsync(effect.Worker!);
                    break;
                case SchedulerCommandKind.RefreshQuote:
                    RefreshQuote();
                    break;
                case SchedulerCommandKind.Drained:
                    _drained.TrySetResult();
                    break;
                default:
                    break;
            }
        }
        Give(effects);
    }

    private void Execute(List<Effect<TIn, TOut>>? effects)
    {
        BatchWork<TIn, TOut>? none = null;
        Execute(effects, ref none, worker: null, runs: false);
    }

    /// <summary>
    /// Whoever comes last arms the timer for the newest instant, in whatever order the effects of two events are carried out. An instant that is put
    /// off leaves the timer as it is, since arming costs more than finding, once, that it is early.
    /// </summary>
    private void ArmTimer()
    {
        lock (_timerGate)
        {
            TimeSpan at;
            lock (_gate)
            {
                if (_wakeAt >= _armedAt || _ended)
                {
                    return;
                }
                at = _armedAt = _wakeAt;
            }
            var due = at - Now;
            // A timer takes 49 days at most; one that fires early is armed again.
            _timer.Change(TimeSpan.FromMilliseconds(Math.Clamp(Math.Ceiling(due.TotalMilliseconds), 0, MaxTimerMs)), Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Whether the timer is set to what the scheduler asked for last: for tests that move the clock.</summary>
    internal bool IsTimerSet
    {
        get
        {
            lock (_timerGate)
            {
                lock (_gate)
                {
                    return _wakeAt >= _armedAt;
                }
            }
        }
    }

    // A list a thread; a nested use, which a caller's synchronous code could bring about, gets one of its own.
    private static List<Effect<TIn, TOut>> TakeEffects()
    {
        var effects = t_effects ?? [];
        t_effects = null;
        return effects;
    }

    private static void Give(List<Effect<TIn, TOut>> effects)
    {
        effects.Clear();
        t_effects = effects;
    }
}

/// <summary>An operation that a thread keeps for its next call. Not in the generic engine, where a thread's static costs a look-up.</summary>
internal abstract class SpareOperation
{
    [ThreadStatic]
    public static SpareOperation? OfThread;

    /// <summary>Whether its model has ended: it will not be used again.</summary>
    public abstract bool HasEnded { get; }
}
