using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.Engine;

// The engine's work on the thread pool, in turns: callers go on with their answers, then the requests that came meanwhile are taken in and run.
// While anything is left to do, a further turn is queued, so that a caller whose code blocks its thread holds up nobody else.
internal sealed partial class ModelEngine<TIn, TOut>
{
    private const int DeliveriesPerTurn = 128;

    private readonly Lock _answeredGate = new();
    private readonly Queue<BatchWork<TIn, TOut>> _answered = new();     // those whose callers are to go on
    private readonly Turn _turn;
    private BatchWork<TIn, TOut>? _firstAnswered;
    private int _turnQueued;

    private bool HasWork => Volatile.Read(ref _firstAnswered) is not null || Volatile.Read(ref _inbox) is not null;

    /// <summary>Lets the callers that have their answers go on, in a turn.</summary>
    public void Deliver(BatchWork<TIn, TOut> work)
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
        EnsureTurn();
    }

    private void EnsureTurn()
    {
        if (Volatile.Read(ref _turnQueued) == 0 && Interlocked.Exchange(ref _turnQueued, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(_turn, preferLocal: false);
        }
    }

    private void TakeTurn()
    {
        Interlocked.Exchange(ref _turnQueued, 0);
        var deliveries = 0;
        while (deliveries < DeliveriesPerTurn)
        {
            if (TryTakeAnswered(out var operation))
            {
                deliveries++;
                if (HasWork)
                {
                    EnsureTurn();
                }
                operation.Deliver();
                continue;
            }
            if (Volatile.Read(ref _inbox) is null)
            {
                return;
            }
            BatchWork<TIn, TOut>? next = null;
            TakeInArrivals(ref next, worker: null, runs: true);
            if (next is null)
            {
                // None can be run now, or whoever holds the lock takes them in.
                return;
            }
            if (HasWork)
            {
                EnsureTurn();
            }
            next.Worker!.Run(next);
        }
        if (HasWork)
        {
            EnsureTurn();
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

    private sealed class Turn(ModelEngine<TIn, TOut> engine) : IThreadPoolWorkItem
    {
        public void Execute() => engine.TakeTurn();
    }
}
