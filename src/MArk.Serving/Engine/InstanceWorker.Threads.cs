using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.Engine;

// Threads of an instance's own, for a runner that computes on the calling thread. While its batches take microseconds, its thread does nothing but run them:
// it leaves the results with the batch, and the thread that has the engine's turn completes it, lets the callers go on and makes up the next one meanwhile.
// Each then spins for the other a little, since to be woken would cost more than a batch does. Where batches take longer, it makes up the next one itself, and leaves only the answers to be read.
internal sealed partial class InstanceWorker<TIn, TOut>
{
    // Answers are left where that many times what it takes to read them is no more than the run.
    private const int ReadingShare = 16;

    private readonly ConcurrentQueue<BatchWork<TIn, TOut>> _queue = new();
    private readonly SemaphoreSlim _queued = new(0);
    private int _sleeping;      // how many of the threads wait to be woken, or are about to
    private int _pending;       // how many batches are queued or run
    private int _unread;        // how many batches were handed over whose answers were not read yet
    private volatile bool _hasLeft;     // whether one of these has freed its slot; it is the only one then
    private long _readingTicks; // about as long as it takes to read a batch's answers

    /// <summary>Whether the threads have batches to run.</summary>
    public bool IsPending => Volatile.Read(ref _pending) > 0;

    /// <summary>Whether its thread leaves all but the runs to the turn, and a batch may wait behind the one that runs.</summary>
    public bool RunsAhead => RanShort && !RunsOnPool && Slots == 1 && ShortWait.Pays;

    /// <summary>The answers of a batch that was handed over were read.</summary>
    /// <param name="took">How long that took.</param>
    public void OnAnswered(TimeSpan took)
    {
        NoteReading(took);
        _hasLeft = false;
        Interlocked.Decrement(ref _unread);
    }

    /// <summary>
    /// Whether the answers of a batch that has run may be left while the next one runs: as long as no other's are, since a runner has memory for those of one batch besides the one that runs; and where they
    /// are read in a small part of the time, since requests are judged by how long batches run.
    /// </summary>
    private bool LeavesAnswers(TimeSpan ran) => _deferring is not null && Volatile.Read(ref _unread) == 0 && ReadingShare * Volatile.Read(ref _readingTicks) <= ran.Ticks && _engine.TurnReadsAnswers;

    private void NoteReading(TimeSpan took)
    {
        var known = Volatile.Read(ref _readingTicks);
        Volatile.Write(ref _readingTicks, known + (took.Ticks - known) / 8);
    }

    private void StartThreads()
    {
        // A thread of the pool must not be held: callers' continuations need it.
        for (var i = 0; i < _runner.Slots; i++)
        {
            _loops++;
            new Thread(LoopOnOwnThread) { IsBackground = true, Name = $"{_engine.ModelName} on {InstanceId}" }.UnsafeStart();
        }
    }

    private void WakeThreads() => _queued.Release(_runner.Slots);

    private void EnqueueForOwnThread(BatchWork<TIn, TOut> work)
    {
        Interlocked.Increment(ref _pending);
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
            if (error is null && (handsOver ? !_hasLeft && _engine.IsTurnUnderWay : LeavesAnswers(ended - start)))
            {
                work.Activity = activity;
                Leave(activity);
                Interlocked.Increment(ref _unread);
                if (handsOver)
                {
                    _engine.HandOver(work);
                }
                else
                {
                    _hasLeft = true;
                    RunNext(_engine.OnRunEnded(work, this));
                }
            }
            else
            {
                var notTold = work.TellKept(turnFollows: false);
                if (_deferring is not null)
                {
                    NoteReading(_engine.Now - ended);
                }
                RunNext(Finish(error ?? notTold, work, activity));
            }
            Interlocked.Decrement(ref _pending);
        }
        End();
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
