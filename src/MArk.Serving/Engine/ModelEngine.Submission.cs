using MArk.Serving.Scheduling;

namespace MArk.Serving.Engine;

// How calls reach the scheduler. Each is left in an inbox, and whoever holds the lock takes in all that are there, so that a burst costs the
// lock, the clock and the scheduler's dispatch once. No caller waits for another, and none runs a batch.
internal sealed partial class ModelEngine<TIn, TOut>
{
    private const int MostTogether = 64;        // a chunk of a burst

    private readonly PaddedReference<InferenceOperation<TIn, TOut>> _inbox = new();      // newest first
    private volatile bool _hasIdleThread;               // an instance with threads of its own is idle, so that a caller can set it going without a hop

    /// <summary>Leaves calls in the inbox: one, or several that came together, linked from the newest to the oldest.</summary>
    private void Submit(InferenceOperation<TIn, TOut> oldest, InferenceOperation<TIn, TOut> newest)
    {
        var before = Volatile.Read(ref _inbox.Value);
#pragma warning disable RS0030 // Tells no time, only whether another call's is fresh: the clock costs several times as much.
        var tick = Environment.TickCount64;
#pragma warning restore RS0030
        while (true)
        {
            // What joins others that wait to be taken in, and came within the same tick, some milliseconds, is taken to have come with them: earlier than it did, and without a look at the clock.
            var arrival = before is null || before.ArrivalTick != tick ? Now : before.Arrival;
            for (var operation = newest; operation != oldest; operation = operation.Next!)
            {
                (operation.Arrival, operation.ArrivalTick) = (arrival, tick);
            }
            (oldest.Arrival, oldest.ArrivalTick) = (arrival, tick);
            oldest.Next = before;
            var seen = Interlocked.CompareExchange(ref _inbox.Value, newest, before);
            if (seen == before)
            {
                break;
            }
            before = seen;
        }
        if (before is not null)
        {
            // Whoever left the first one sees to it.
            return;
        }
        // Where batches have threads of their own, no thread of the pool is woken for a single arrival; a turn that there is takes it in with others.
        if (_hasIdleThread || (_hasThreads && Volatile.Read(ref _holder) == 0))
        {
            TakeInArrivals();
        }
        else
        {
            EnsureTurn();
        }
    }

    /// <summary>Called after the lock was released: an arrival that came while it was held must not be left behind.</summary>
    private void TakeInArrivals()
    {
        BatchWork<TIn, TOut>? none = null;
        TakeInArrivals(ref none, worker: null, runs: false);
    }

    private void TakeInArrivals(ref BatchWork<TIn, TOut>? next, InstanceWorker<TIn, TOut>? worker, bool runs)
    {
        // Between releasing the lock and looking here, and between leaving an arrival and trying the lock, nothing may be reordered.
        Interlocked.MemoryBarrier();
        while (Volatile.Read(ref _inbox.Value) is not null && _gate.TryEnter())
        {
            List<Effect<TIn, TOut>>? effects;
            try
            {
                effects = TakeInArrivalsUnderLock(Now, null);
                // Anew: what it took to take in many is not part of a batch's time.
                _scheduler.OnArrivalsEnd(Now);
                effects = Collect(null, effects);
            }
            finally
            {
                _gate.Exit();
            }
            Execute(effects, ref next, worker, runs);
        }
    }

    /// <summary>Admits what is in the inbox. An event that lets the scheduler dispatch must follow.</summary>
    private List<Effect<TIn, TOut>>? TakeInArrivalsUnderLock(TimeSpan now, List<Effect<TIn, TOut>>? effects)
    {
        if (Volatile.Read(ref _inbox.Value) is null)
        {
            return effects;
        }
        var newest = Interlocked.Exchange(ref _inbox.Value, null);
        InferenceOperation<TIn, TOut>? oldest = null;
        while (newest is not null)
        {
            (newest.Next, oldest, newest) = (oldest, newest, newest.Next);
        }
        while (oldest is not null)
        {
            effects = ArriveTogether(ref oldest, now, effects);
        }
        return effects;
    }

    /// <summary>Takes in the oldest, and those after it that are like it.</summary>
    private List<Effect<TIn, TOut>>? ArriveTogether(ref InferenceOperation<TIn, TOut>? oldest, TimeSpan now, List<Effect<TIn, TOut>>? effects)
    {
        var first = oldest!;
        if (!_started || _ended)
        {
            oldest = first.Next;
            first.Next = null;
            return Refuse(first, effects);
        }
        var deadline = DeadlineOf(first.Arrival, first.Options.Timeout ?? _parts.Options.Slo);
        var (offered, taken) = (0, 0);
        var end = first;
        do
        {
            offered++;
            if (end.TryTakeIn(deadline))
            {
                taken++;
                _counters.Outcomes?.Offer(first.Arrival, deadline);
            }
            end = end.Next;
        }
        while (end is not null && offered < MostTogether && end.IsLike(first));
        _counters.Offered += offered;
        _counters.Cancelled += offered - taken;
        _arrivals?.Add(Utc(first.Arrival), offered);
        Span<RequestId> ids = stackalloc RequestId[MostTogether];
        var admitted = taken > 0 ? _scheduler.OnArrivals(now, TermsOf(first), ids[..taken]) : 0;
        var count = 0;
        for (var operation = first; operation != end;)
        {
            var next = operation.Next;
            operation.Next = null;
            if (operation.IsTakenIn)
            {
                if (count < admitted)
                {
                    operation.Id = ids[count++];
                    Hold(operation);
                }
                else
                {
                    effects = Arrive(operation, now, effects);
                }
            }
            operation = next!;
        }
        oldest = end;
        return effects;
    }

    private List<Effect<TIn, TOut>>? Arrive(InferenceOperation<TIn, TOut> operation, TimeSpan now, List<Effect<TIn, TOut>>? effects)
    {
        operation.Id = _scheduler.OnArrival(now, TermsOf(operation), more: true);
        Hold(operation);
        return _scheduler.Commands.IsEmpty ? effects : Collect(null, effects, operation);
    }

    private static TimeSpan DeadlineOf(TimeSpan arrival, TimeSpan timeout) =>
        new(timeout.Ticks > FarFuture.Ticks - arrival.Ticks ? FarFuture.Ticks : arrival.Ticks + timeout.Ticks);

    private RequestTerms TermsOf(InferenceOperation<TIn, TOut> operation)
    {
        ref readonly var options = ref operation.Options;
        var ownDeadline = options.Timeout is not null;
        return new RequestTerms(
            operation.Deadline, _scheduler.GroupOf(operation.ShapeKey, options.Key), options.Priority,
            options.WhenUnreachable ?? RequestTerms.Otherwise(canSpill: _parts.Spillover is not null, ownDeadline), ownDeadline,
            operation.Weight, operation.Bytes, _scheduler.TenantOf(options.Tenant));
    }

    /// <summary>Before it serves, and when it has ended.</summary>
    private List<Effect<TIn, TOut>>? Refuse(InferenceOperation<TIn, TOut> operation, List<Effect<TIn, TOut>>? effects)
    {
        _counters.Offered += _started ? 1 : 0;
        if (operation.TryAnswer(InferenceResult<TOut>.Rejection(ModelName, RejectionReason.Draining)))
        {
            _counters.Rejected += _started ? 1 : 0;
            effects ??= TakeEffects();
            effects.Add(new(SchedulerCommandKind.Reject, operation, null, null));
        }
        else
        {
            _counters.Cancelled += _started ? 1 : 0;
        }
        return effects;
    }

    /// <summary>A caller's token fired, and the call has ended: its request leaves the queue, or runs on unheard.</summary>
    public void OnCancelled(InferenceOperation<TIn, TOut> operation)
    {
        List<Effect<TIn, TOut>>? effects = null;
        lock (_gate)
        {
            // One that is still in the inbox is found cancelled there.
            if (operation.IsTakenIn)
            {
                _counters.Cancelled++;
                if (Now <= operation.Deadline)
                {
                    _counters.Outcomes?.TakeBack(operation.Arrival, operation.Deadline);
                }
                if (_scheduler.OnCancelled(Now, operation.Id) && _bySlot[operation.Id.Slot] == operation)
                {
                    _bySlot[operation.Id.Slot] = null;
                }
            }
            effects = Collect(null);
        }
        Execute(effects);
        TakeInArrivals();
    }
}
