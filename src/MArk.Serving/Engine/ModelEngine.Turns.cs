using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.Engine;

// The engine's work besides the batches, in turns, on the thread pool, or on a thread of the engine's own where batches have theirs: callers go on with their answers, then the requests that came
// meanwhile are taken in and run.
// One turn at a time while that is quick, since handing small pieces from core to core costs more than they do. Further turns help where callers
// keep the thread for long; and where one keeps it for good, a timer notices and has the turn taken by another thread, so that nobody holds up others.
internal sealed partial class ModelEngine<TIn, TOut>
{
    // Then a thread of the pool goes back to it, for what else the host has to do; sooner where callers are slow.
    private const int DeliveriesPerTurn = 16_384;
    private const int SlowDelivery = 256;
    private const int LooksWithin = 32;     // after so many callers the clock is looked at again, at the latest
    private const int Grace = 25;       // as many are allowed more time: the first ones find the caches cold
    private static readonly TimeSpan SlowCaller = TimeSpan.FromMicroseconds(2);
    private static readonly TimeSpan StuckAfter = TimeSpan.FromMilliseconds(10);

    private readonly Lock _answeredGate = new();
    private readonly Queue<BatchWork<TIn, TOut>> _answered = new();     // those whose callers are to go on
    private readonly EndedRuns<TIn, TOut> _endedRuns = new();          // those whose completion was left to the turn
    private readonly ConcurrentQueue<InferenceOperation<TIn, TOut>> _displaced = new();   // those that made room for others, whose callers are still to go on
    private int _hasDisplaced;          // 1 where there may be any
    private readonly Turn _turn;
    private readonly Turn _furtherTurn;
    private volatile TurnThread? _turnThread;       // where an instance has threads of its own
    private bool _hasTurnThread;
    private readonly QuickTimer _stuckTimer;
    private readonly PaddedReference<BatchWork<TIn, TOut>> _firstAnswered = new();
    private InstanceWorker<TIn, TOut>? _lingersFor;     // the worker that has short batches to run, whose ends the turn waits for
    private int _holder;                // the ticket of the turn that is queued or under way; 0 if there is none
    private int _lastTicket;
    private int _begunTicket;           // the ticket of the last turn that a thread has taken
    private int _hasFurtherTurn;        // whether a further one is queued
    private int _watches;               // whether the timer runs
    private PaddedInt _progress;        // changes with every caller that goes on
    private int _progressSeen;
    private volatile bool _callersAreSlow;

    private bool HasWork => Volatile.Read(ref _firstAnswered.Value) is not null || Volatile.Read(ref _inbox.Value) is not null || !_endedRuns.IsEmpty || !_displaced.IsEmpty;

    /// <summary>Whether a thread takes a turn now, and callers do not keep it.</summary>
    public bool IsTurnUnderWay => !_callersAreSlow && Volatile.Read(ref _holder) is not 0 and var holder && holder == Volatile.Read(ref _begunTicket);

    /// <summary>Whether a turn can read the answers of a long batch soon: not where callers keep it, or those of another are to be read.</summary>
    public bool TurnReadsAnswers => !_callersAreSlow && _turnThread is not null && _endedRuns.IsEmpty;

    /// <summary>Lets the callers that have their answers go on, in a turn.</summary>
    /// <param name="work">The batch that was answered.</param>
    /// <param name="turnFollows">Whether the thread takes a turn anyway.</param>
    public void Deliver(BatchWork<TIn, TOut> work, bool turnFollows)
    {
        // Either this sees that the batch was taken off the list, or whoever took it off sees the new answer.
        Interlocked.MemoryBarrier();
        if (!work.IsListed)
        {
            lock (_answeredGate)
            {
                if (!work.IsListed)
                {
                    work.IsListed = true;
                    _answered.Enqueue(work);
                    Volatile.Write(ref _firstAnswered.Value, _answered.Peek());
                }
            }
        }
        if (!turnFollows)
        {
            EnsureTurn();
        }
    }

    /// <summary>
    /// Lets a caller go on in the next turn, or soon after: where each arrival makes another leave a full queue, a thread woken for each would take the time of the batches.
    /// </summary>
    private void DeliverLater(InferenceOperation<TIn, TOut> operation)
    {
        _displaced.Enqueue(operation);
        Volatile.Write(ref _hasDisplaced, 1);
        Watch();
    }

    /// <summary>Something was left to do, before a full barrier: a turn will find it.</summary>
    private void EnsureTurn()
    {
        if (TryClaimTurn(out _))
        {
            if (_turnThread is not { } thread || !thread.TryWake())
            {
                ThreadPool.UnsafeQueueUserWorkItem(_turn, preferLocal: false);
            }
        }
        else if (_callersAreSlow)
        {
            EnsureFurtherTurn();
        }
    }

    public void EnsureTurnIfDue()
    {
        if (HasWork)
        {
            EnsureTurn();
        }
    }

    /// <summary>From here on turns are taken by a thread of the engine's own. Not under the lock: it takes time to start.</summary>
    private void EnsureTurnThread()
    {
        if (!Interlocked.Exchange(ref _hasTurnThread, true))
        {
            var thread = new TurnThread($"{ModelName}'s callers", TakeClaimedTurn);
            Interlocked.Exchange(ref _turnThread, thread);
            if (_ended)
            {
                // Stopped meanwhile: nobody else ends it.
                thread.End();
            }
        }
    }

    /// <summary>Claims the turn, for this thread or another; from here on the timer looks after it.</summary>
    private bool TryClaimTurn(out int ticket)
    {
        ticket = 0;
        if (Volatile.Read(ref _holder) != 0)
        {
            return false;
        }
        var next = Interlocked.Increment(ref _lastTicket);
        // It wraps around in time; 0 is nobody's.
        next = next == 0 ? Interlocked.Increment(ref _lastTicket) : next;
        if (Interlocked.CompareExchange(ref _holder, next, 0) != 0)
        {
            return false;
        }
        ticket = next;
        Watch();
        return true;
    }

    /// <summary>Claims the turn for this thread, which takes it now.</summary>
    public bool TryBeginTurn(out int ticket)
    {
        if (!TryClaimTurn(out ticket))
        {
            return false;
        }
        Volatile.Write(ref _begunTicket, ticket);
        return true;
    }

    /// <summary>Gives the turn back, unless it was taken away or was a further one; what is left to do gets another.</summary>
    private void ReleaseTurn(int ticket)
    {
        Interlocked.CompareExchange(ref _holder, 0, ticket);
        EnsureTurnIfDue();
    }

    private void EnsureFurtherTurn()
    {
        if (Volatile.Read(ref _hasFurtherTurn) == 0 && Interlocked.Exchange(ref _hasFurtherTurn, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(_furtherTurn, preferLocal: false);
        }
    }

    /// <summary>Takes a turn.</summary>
    /// <param name="ticket">What it was claimed with; 0 if it is a further one.</param>
    /// <param name="next">A batch that is made up, and is run in it.</param>
    /// <param name="thread">The thread that takes it, if that is the engine's own.</param>
    public void TakeTurn(int ticket, BatchWork<TIn, TOut>? next, TurnThread? thread = null)
    {
        var left = DeliveriesPerTurn;
        while (left > 0)
        {
            if (ticket == 0 && !_callersAreSlow && !TryBeginTurn(out ticket))
            {
                // Two threads at quick work are in each other's way.
                break;
            }
            // A batch that is made up waits for callers only while it is as short as their going on is quick; and then keeps the turn.
            if (next is null || IsQuick(next))
            {
                CompleteEnded(inTurn: true);
                LetCallersGoOn(ref left);
                if (Volatile.Read(ref _inbox.Value) is not null)
                {
                    TakeInArrivals(ref next, worker: null, runs: true);
                }
            }
            if (next is null)
            {
                if (ticket != 0 && Linger())
                {
                    continue;
                }
                break;
            }
            if (ticket == 0 || IsQuick(next))
            {
                next = next.Worker!.RunInTurn(next);
                continue;
            }
            // Nobody knows how long the batch takes: what comes meanwhile gets a turn of its own.
            ReleaseTurn(ticket);
            next = next.Worker!.RunInTurn(next);
            if (!TryBeginTurn(out ticket))
            {
                next?.Worker!.Run(next);
                return;
            }
        }
        next?.Worker!.Enqueue(next);
        thread?.Leave();
        ReleaseTurn(ticket);
    }

    /// <summary>Takes the turn that was claimed for whoever comes: queued or woken with each claim, and a claim that nobody took is not taken away, so that it is this one's.</summary>
    private void TakeClaimedTurn(TurnThread? thread)
    {
        var ticket = Volatile.Read(ref _holder);
        Volatile.Write(ref _begunTicket, ticket);
        TakeTurn(ticket, next: null, thread);
    }

    /// <summary>Waits for the end of a short batch that a thread of its own runs.</summary>
    /// <returns>Whether there is work.</returns>
    private bool Linger()
    {
        if (_callersAreSlow || Volatile.Read(ref _lingersFor) is not { IsPending: true } worker)
        {
            return false;
        }
        var wait = new ShortWait();
        while (!HasWork && worker.IsPending && wait.Spin())
        {
        }
        return HasWork;
    }

    /// <summary>The turn may wait for the ends of the short batches that this worker was given.</summary>
    public void LingerFor(InstanceWorker<TIn, TOut> worker)
    {
        // Written seldom: the line is read by all.
        if (Volatile.Read(ref _lingersFor) != worker)
        {
            Volatile.Write(ref _lingersFor, worker);
        }
    }

    private bool IsQuick(BatchWork<TIn, TOut> work) => work.Worker!.RanShort && !_callersAreSlow;

    private void LetCallersGoOn(ref int left)
    {
        if (Volatile.Read(ref _firstAnswered.Value) is null && Volatile.Read(ref _hasDisplaced) == 0)
        {
            return;
        }
        var start = Now;
        var (count, nextLook) = (0, 1);
        while (left > 0 && TryTakeAnswered(out var operation))
        {
            if (_callersAreSlow && HasWork)
            {
                EnsureFurtherTurn();
            }
            operation.Deliver();
            left -= _callersAreSlow ? SlowDelivery : 1;
            count++;
            Volatile.Write(ref _progress.Value, _progress.Value + 1);
            if (count == nextLook)
            {
                nextLook = count < LooksWithin ? 4 * count : count + LooksWithin;
                var areSlow = Now - start > (count + Grace) * SlowCaller;
                if (areSlow != _callersAreSlow)
                {
                    // Written seldom: the line is read by all.
                    _callersAreSlow = areSlow;
                }
            }
        }
    }

    private bool TryTakeAnswered([MaybeNullWhen(false)] out InferenceOperation<TIn, TOut> operation)
    {
        if (Volatile.Read(ref _hasDisplaced) != 0 && TryTakeDisplaced(out operation))
        {
            return true;
        }
        while (Volatile.Read(ref _firstAnswered.Value) is { } work)
        {
            if (work.TryTakeAnswered(out operation, out var isLast))
            {
                if (isLast)
                {
                    Reuse(work);
                }
                return true;
            }
            TakeOff(work);
        }
        operation = null;
        return false;
    }

    private bool TryTakeDisplaced([MaybeNullWhen(false)] out InferenceOperation<TIn, TOut> operation)
    {
        if (_displaced.TryDequeue(out operation))
        {
            return true;
        }
        Interlocked.Exchange(ref _hasDisplaced, 0);
        // One that came after the look may have been said before that.
        if (!_displaced.IsEmpty)
        {
            Volatile.Write(ref _hasDisplaced, 1);
        }
        return false;
    }

    private void TakeOff(BatchWork<TIn, TOut> work)
    {
        lock (_answeredGate)
        {
            if (_firstAnswered.Value != work)
            {
                return;
            }
            work.IsListed = false;
            Interlocked.MemoryBarrier();
            if (work.HasUndelivered)
            {
                work.IsListed = true;
                return;
            }
            _answered.Dequeue();
            Volatile.Write(ref _firstAnswered.Value, _answered.TryPeek(out var first) ? first : null);
        }
    }

    private void Watch()
    {
        if (Volatile.Read(ref _watches) == 0 && Interlocked.Exchange(ref _watches, 1) == 0)
        {
            _stuckTimer.Set(StuckAfter);
        }
    }

    private void OnStuckTimer()
    {
        var progress = Volatile.Read(ref _progress.Value);
        var holder = Volatile.Read(ref _holder);
        if (progress == _progressSeen && HasWork)
        {
            // One that no thread has taken yet waits for its thread to come, and another would wait behind it.
            if (holder == 0 || holder == Volatile.Read(ref _begunTicket))
            {
                ReleaseTurn(holder);
            }
        }
        else if (progress == _progressSeen && holder == 0)
        {
            Interlocked.Exchange(ref _watches, 0);
            if (Volatile.Read(ref _holder) != 0 || HasWork)
            {
                Watch();
            }
            return;
        }
        _progressSeen = progress;
        _stuckTimer.Set(StuckAfter);
    }

    private sealed class Turn(ModelEngine<TIn, TOut> engine, bool isFurther) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            if (isFurther)
            {
                Interlocked.Exchange(ref engine._hasFurtherTurn, 0);
                engine.TakeTurn(0, next: null);
            }
            else
            {
                engine.TakeClaimedTurn(thread: null);
            }
        }
    }
}
