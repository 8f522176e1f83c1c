using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.Engine;

// The engine's work on the thread pool, in turns: callers go on with their answers, then the requests that came meanwhile are taken in and run.
// One turn at a time while that is quick, since handing small pieces from core to core costs more than they do. Further turns help where callers
// keep the thread for long; and where one keeps it for good, a timer notices, so that no caller can hold up another.
internal sealed partial class ModelEngine<TIn, TOut>
{
    // Then the thread goes back to the pool, for what else the host has to do; sooner where callers are slow.
    private const int DeliveriesPerTurn = 4096;
    private const int SlowDelivery = 64;
    private static readonly TimeSpan SlowCaller = TimeSpan.FromMicroseconds(2);
    private static readonly TimeSpan StuckAfter = TimeSpan.FromMilliseconds(10);

    private readonly Lock _answeredGate = new();
    private readonly Queue<BatchWork<TIn, TOut>> _answered = new();     // those whose callers are to go on
    private readonly Turn _turn;
    private readonly Turn _furtherTurn;
    private readonly Timer _stuckTimer;
    private BatchWork<TIn, TOut>? _firstAnswered;
    private int _hasTurn;               // whether a turn is queued or under way
    private int _hasFurtherTurn;        // whether a further one is queued
    private int _watches;               // whether the timer runs
    private int _progress;              // changes with every caller that goes on
    private int _progressSeen;
    private volatile bool _callersAreSlow;

    private bool HasWork => Volatile.Read(ref _firstAnswered) is not null || Volatile.Read(ref _inbox) is not null;

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
                    Volatile.Write(ref _firstAnswered, _answered.Peek());
                }
            }
        }
        if (!turnFollows)
        {
            EnsureTurn();
        }
    }

    /// <summary>Something was left to do, before a full barrier: a turn will find it.</summary>
    private void EnsureTurn()
    {
        if (TryClaimTurn())
        {
            ThreadPool.UnsafeQueueUserWorkItem(_turn, preferLocal: false);
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

    /// <summary>Claims the turn, which the thread then takes or has taken; from here on the timer looks after it.</summary>
    public bool TryClaimTurn()
    {
        if (Volatile.Read(ref _hasTurn) != 0 || Interlocked.CompareExchange(ref _hasTurn, 1, 0) != 0)
        {
            return false;
        }
        Watch();
        return true;
    }

    private void ReleaseTurn()
    {
        Interlocked.Exchange(ref _hasTurn, 0);
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
    /// <param name="isFurther">Whether it is a further one; otherwise it has been claimed.</param>
    /// <param name="next">A batch that is made up, and is run in it.</param>
    public void TakeTurn(bool isFurther, BatchWork<TIn, TOut>? next)
    {
        var left = DeliveriesPerTurn;
        while (left > 0)
        {
            // A batch that is made up waits for callers only while it is as short as their going on is quick; and then keeps the turn.
            var isShort = next is null || (next.Worker!.RanShort && !_callersAreSlow);
            if (isShort)
            {
                LetCallersGoOn(ref left);
                if (Volatile.Read(ref _inbox) is not null)
                {
                    TakeInArrivals(ref next, worker: null, runs: true);
                }
            }
            if (next is null)
            {
                break;
            }
            isShort = next.Worker!.RanShort && !_callersAreSlow;
            if (!isFurther && !isShort)
            {
                // Nobody knows how long the batch takes: what comes meanwhile gets a turn of its own.
                ReleaseTurn();
            }
            next = next.Worker!.RunInTurn(next);
            if (!isFurther && !isShort && !TryClaimTurn())
            {
                next?.Worker!.Run(next);
                return;
            }
        }
        next?.Worker!.Enqueue(next);
        if (!isFurther)
        {
            ReleaseTurn();
        }
    }

    private void LetCallersGoOn(ref int left)
    {
        if (Volatile.Read(ref _firstAnswered) is null)
        {
            return;
        }
        var start = Now;
        var count = 0;
        while (left > 0 && TryTakeAnswered(out var operation))
        {
            if (_callersAreSlow && HasWork)
            {
                EnsureFurtherTurn();
            }
            operation.Deliver();
            left -= _callersAreSlow ? SlowDelivery : 1;
            count++;
            Volatile.Write(ref _progress, _progress + 1);
            if ((count & (count - 1)) == 0)
            {
                _callersAreSlow = Now - start > count * SlowCaller;
            }
        }
    }

    private bool TryTakeAnswered([MaybeNullWhen(false)] out InferenceOperation<TIn, TOut> operation)
    {
        while (Volatile.Read(ref _firstAnswered) is { } work)
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

    private void TakeOff(BatchWork<TIn, TOut> work)
    {
        lock (_answeredGate)
        {
            if (_firstAnswered != work)
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
            Volatile.Write(ref _firstAnswered, _answered.TryPeek(out var first) ? first : null);
        }
    }

    private void Watch()
    {
        if (Volatile.Read(ref _watches) == 0 && Interlocked.Exchange(ref _watches, 1) == 0)
        {
            _stuckTimer.Change(StuckAfter, Timeout.InfiniteTimeSpan);
        }
    }

    private void OnStuckTimer()
    {
        var progress = Volatile.Read(ref _progress);
        if (progress == _progressSeen)
        {
            if (HasWork)
            {
                EnsureFurtherTurn();
            }
            else
            {
                Interlocked.Exchange(ref _watches, 0);
                if (Volatile.Read(ref _hasTurn) != 0)
                {
                    Watch();
                }
                return;
            }
        }
        _progressSeen = progress;
        _stuckTimer.Change(StuckAfter, Timeout.InfiniteTimeSpan);
    }

    private sealed class Turn(ModelEngine<TIn, TOut> engine, bool isFurther) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            if (isFurther)
            {
                Interlocked.Exchange(ref engine._hasFurtherTurn, 0);
            }
            engine.TakeTurn(isFurther, next: null);
        }
    }
}
