using MArk.Serving.Scheduling;

namespace MArk.Serving.Engine;

// How batches end. What each event returns is the batch the same instance runs next, so that its thread goes on without a hop.
internal sealed partial class ModelEngine<TIn, TOut>
{
    // After a batch so short that another thread can wait for its end, its callers go on before the next is made up, since most of them ask again; and what they ask is in that batch.
    private static readonly TimeSpan Short = ShortWait.Longest;

    public BatchWork<TIn, TOut>? OnBatchCompleted(BatchWork<TIn, TOut> work, InstanceWorker<TIn, TOut> worker, bool inTurn = false)
    {
        var isWhole = work.FailUnanswered();
        Record(work);
        List<Effect<TIn, TOut>>? effects;
        bool isCurrent;
        lock (_gate)
        {
            var now = Now;
            isCurrent = work.Dispatched is { } current && current.Tag == work;
            worker.OnRan(isCurrent && (work.Ran ?? now - work.Dispatched!.DispatchedAt) < Short, isDone: isCurrent);
            var leavesArrivals = inTurn || (worker.RunsOnPool && worker.RanShort);
            effects = leavesArrivals ? null : TakeInArrivalsUnderLock(now, null);
            if (isCurrent)
            {
                var dispatched = work.Dispatched!;
                Release(dispatched);
                _counters.Count(work, dispatched);
                dispatched.Instance.RunsAhead = worker.RunsAhead;
                _scheduler.OnBatchCompleted(now, dispatched, worker.RunsAhead ? work.Ran : null);
                // One that a runner may still answer is left to it, so that a late answer does not meet another batch.
                if (isWhole && work.Finish())
                {
                    Reuse(work);
                }
            }
            else
            {
                _scheduler.OnArrivalsEnd(now);
            }
            effects = Collect(null, effects);
        }
        if (!isCurrent)
        {
            // Its instance was thought lost, and nobody waits for it any more but those whose memory it had.
            work.GiveDestinationsBack();
        }
        return GoOn(effects, worker, takesIn: !inTurn);
    }

    /// <summary>A batch has run, and its answers are left to the turn: its instance goes on meanwhile.</summary>
    /// <returns>What the instance runs next.</returns>
    public BatchWork<TIn, TOut>? OnRunEnded(BatchWork<TIn, TOut> work, InstanceWorker<TIn, TOut> worker)
    {
        List<Effect<TIn, TOut>>? effects;
        lock (_gate)
        {
            var now = Now;
            effects = TakeInArrivalsUnderLock(now, null);
            if (work.Dispatched is { } dispatched && dispatched.Tag == work)
            {
                _scheduler.OnSlotFree(now, dispatched);
            }
            else
            {
                _scheduler.OnArrivalsEnd(now);
            }
            effects = Collect(null, effects);
        }
        // Not before the lock was had: a turn that has completed the batch reuses it.
        HandOver(work);
        return GoOn(effects, worker, takesIn: true);
    }

    /// <summary>The run of a batch has ended, and its thread goes on with the next one: what follows the run is left to the turn.</summary>
    public void HandOver(BatchWork<TIn, TOut> work)
    {
        // Either this sees that the turn is over, or the turn sees the work: a full barrier.
        _endedRuns.Add(work);
        EnsureTurn();
    }

    /// <summary>Completes the batches that were handed over.</summary>
    /// <param name="inTurn">Whether that is part of a turn.</param>
    public void CompleteEnded(bool inTurn)
    {
        while (_endedRuns.TryTake(out var work))
        {
            var start = Now;
            var error = work.TellKept(inTurn);
            work.Worker!.OnAnswered(Now - start);
            work.Worker!.Stop(work.Activity, error);
            if ((error is null ? OnBatchCompleted(work, work.Worker!, inTurn) : OnBatchFailed(work, error, work.Worker!)) is { } next)
            {
                next.Worker!.Enqueue(next);
            }
        }
    }

    public BatchWork<TIn, TOut>? OnBatchFailed(BatchWork<TIn, TOut> work, Exception error, InstanceWorker<TIn, TOut> worker)
    {
        work.Close();
        Record(work);
        if (error is InstanceFailedException atFault)
        {
            Report(atFault);
        }
        // Before the scheduler hears of the failure, since it runs again what is still waited for.
        work.GiveDestinationsBack();
        List<Effect<TIn, TOut>>? effects = null;
        lock (_gate)
        {
            if (work.Dispatched is { } dispatched && dispatched.Tag == work)
            {
                _counters.Count(work, dispatched);
                _counters.FailedBatches++;
                ReleaseAnswered(dispatched, work);
                if (error is InstanceFailedException { BusyFor: var busyFor })
                {
                    _scheduler.OnBatchFailedByInstance(Now, dispatched, (_, index) => work.IsAnswered(index), busyFor);
                }
                else
                {
                    _scheduler.OnBatchFailed(Now, dispatched, (_, index) => work.IsAnswered(index));
                }
                effects = Collect(error);
            }
        }
        return GoOn(effects, worker, takesIn: true);
    }

    private BatchWork<TIn, TOut>? GoOn(List<Effect<TIn, TOut>>? effects, InstanceWorker<TIn, TOut> worker, bool takesIn)
    {
        BatchWork<TIn, TOut>? next = null;
        Execute(effects, ref next, worker, runs: true);
        if (!worker.RunsOnPool && takesIn)
        {
            TakeInArrivals(ref next, worker, runs: true);
        }
        return next;
    }

    private void Reuse(BatchWork<TIn, TOut> work)
    {
        work.Clear();
        _spareWork.Enqueue(work);
    }

    private void Release(DispatchedBatch batch)
    {
        foreach (var slot in batch.Slots)
        {
            _bySlot[slot] = null;
        }
    }

    private void ReleaseAnswered(DispatchedBatch batch, BatchWork<TIn, TOut> work)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            if (work.IsAnswered(i))
            {
                _bySlot[batch.Slots[i]] = null;
            }
        }
    }
}
