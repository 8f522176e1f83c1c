using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.Engine;

// Threads of an instance's own, for a runner that computes on the calling thread. While its batches take microseconds, its thread does nothing but run them:
// it leaves the results with the batch, and the thread that has the engine's turn completes it, lets the callers go on and makes up the next one meanwhile.
// Each then spins for the other a little, since to be woken would cost more than a batch does. Where batches take longer, it makes up the next one itself, and leaves only the answers to be read.
internal sealed partial class InstanceWorker<TIn, TOut>
{
    private readonly ConcurrentQueue<BatchWork<TIn, TOut>> _queue = new();
    private readonly SemaphoreSlim _queued = new(0);
    private readonly UnreadAnswers _unread = new();
    private int _sleeping;      // how many of the threads wait to be woken, or are about to
    private PaddedInt _given;   // how many batches the threads were given
    private PaddedInt _done;    // how many of these have run

    /// <summary>Whether the threads have batches to run.</summary>
    public bool IsPending => Volatile.Read(ref _done.Value) != Volatile.Read(ref _given.Value);

    /// <summary>Whether its thread leaves all but the runs to the turn, and a batch may wait behind the one that runs.</summary>
    public bool RunsAhead => RanShort && !RunsOnPool && Slots == 1 && ShortWait.Pays;

    /// <summary>The answers of a batch that was handed over were read.</summary>
    /// <param name="took">How long that took.</param>
    public void OnAnswered(TimeSpan took) => _unread.OnRead(took);

    /// <summary>Whether the answers of a batch that has run may be left while the next one runs.</summary>
    private bool LeavesAnswers(TimeSpan ran) => _deferring is not null && _unread.MayLeave(ran) && _engine.TurnReadsAnswers;

    private void StartThreads()
    {
        // A thread of the pool must not be held: callers' continuations need it.
        for (var i = 0; i < Slots; i++)
        {
            _loops++;
            new Thread(LoopOnOwnThread) { IsBackground = true, Name = $"{_engine.ModelName} on {InstanceId}" }.UnsafeStart();
        }
    }

    private void WakeThreads() => _queued.Release(Slots);

    private void EnqueueForOwnThread(BatchWork<TIn, TOut> work)
    {
        Interlocked.Increment(ref _given.Value);
        if (RanShort && ShortWait.Pays)
        {
            _engine.LingerFor(this);
        }
        _queue.Enqueue(work);
        // Either a thread that is about to sleep sees the batch, or this sees that it sleeps.
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _sleeping) > 0)
        {
            _queued.Release();
        }
    }

    private void LoopOnOwnThread()
    {
        while (TryDequeue(out var work))
        {
            var activity = StartActivity(work);
            Exception? error = null;
            var handsOver = RunsAhead;
            var start = _engine.Now;
            try
            {
                if (_deferring is not null)
                {
                    work.Keep(_deferring.Run(work.Inputs, _stop.Token));
                }
                else
                {
                    RunAndWait(work, keepsResults: handsOver);
                }
            }
            catch (Exception e)
            {
                error = e;
            }
            var ended = _engine.Now;
            work.Ran = ended - start;
            if (error is null && (handsOver ? !_unread.HasLeft && _engine.IsTurnUnderWay : LeavesAnswers(ended - start)))
            {
                work.Activity = activity;
                Leave(activity);
                _unread.Leave(freesSlot: !handsOver);
                if (handsOver)
                {
                    _engine.HandOver(work);
                }
                else
                {
                    RunNext(_engine.OnRunEnded(work, this));
                }
            }
            else
            {
                var notTold = work.TellKept(turnFollows: false);
                if (_deferring is not null)
                {
                    _unread.Note(_engine.Now - ended);
                }
                RunNext(Finish(error ?? notTold, work, activity));
            }
            CountDone();
        }
        End();
    }

    private void CountDone()
    {
        if (Slots == 1)
        {
            // Nobody else does; and to lock the line, which the turn looks at meanwhile, takes a good part of a short batch's time.
            Volatile.Write(ref _done.Value, _done.Value + 1);
        }
        else
        {
            Interlocked.Increment(ref _done.Value);
        }
    }

    private void RunNext(BatchWork<TIn, TOut>? next)
    {
        if (next is not null)
        {
            Enqueue(next);
        }
    }

    [SuppressMessage("Reliability", "CA2012", Justification = "The thread is the runner's own, and each ValueTask is consumed once.")]
    private void RunAndWait(BatchWork<TIn, TOut> work, bool keepsResults)
    {
        if (keepsResults)
        {
            work.KeepResults();
        }
        var run = _runner.RunAsync(work.Inputs, work, _stop.Token);
        if (run.IsCompleted)
        {
            run.GetAwaiter().GetResult();
        }
        else
        {
            run.AsTask().GetAwaiter().GetResult();
        }
    }

    /// <summary>Waits for the next batch.</summary>
    /// <returns>Whether there is one; otherwise this stops.</returns>
    private bool TryDequeue([MaybeNullWhen(false)] out BatchWork<TIn, TOut> work)
    {
        if (RanShort && ShortWait.Pays)
        {
            Linger();
        }
        while (!_queue.TryDequeue(out work))
        {
            Interlocked.Increment(ref _sleeping);
            var isEmpty = _queue.IsEmpty;
            if (isEmpty && (Volatile.Read(ref _loops) & Stopping) != 0)
            {
                return false;
            }
            if (isEmpty)
            {
                _queued.Wait();
            }
            Interlocked.Decrement(ref _sleeping);
        }
        return true;
    }

    /// <summary>Waits a little for the next batch, which costs less than to sleep and be woken.</summary>
    private void Linger()
    {
        var wait = new ShortWait();
        while (_queue.IsEmpty && wait.Spin())
        {
        }
        if (_queue.IsEmpty)
        {
            // A caller keeps the turn: nobody else completes them.
            _engine.CompleteEnded(inTurn: false);
        }
    }
}
