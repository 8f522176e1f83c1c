using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using MArk.Serving.Diagnostics;
using MArk.Serving.Profiling;

namespace MArk.Serving.Engine;

/// <summary>
/// An instance that serves: runs the batches it is given, as many at a time as it has slots. The thread that ended a batch runs the next one
/// without a hop. A runner that computes on the calling thread has a thread of its own for each slot, any other runs on the pool.
/// </summary>
internal sealed partial class InstanceWorker<TIn, TOut> : IAsyncDisposable
{
    private const int Stopping = 1 << 30;

    private readonly ModelEngine<TIn, TOut> _engine;
    private readonly IBatchRunner<TIn, TOut> _runner;
    private readonly IDeferringBatchRunner<TIn, TOut>? _deferring;       // where the outputs of its batches can be left to another thread
    private readonly CancellationTokenSource _stop;
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _loops;     // how many run batches now, and whether no more may begin
    private bool _ranShort;
    private bool _lastWasLong;
    private volatile Task _probe = Task.CompletedTask;

    public InstanceWorker(ModelEngine<TIn, TOut> engine, int id, InstanceDescriptor machine, int offering, IBatchRunner<TIn, TOut> runner, CancellationToken hardStop)
    {
        _engine = engine;
        Id = id;
        Machine = machine;
        Offering = offering;
        // Asked once, and here: it is the runner's own code, which must not run under the engine's lock.
        Slots = runner.Slots;
        MaxBatchSize = runner.MaxBatchSize;
        RunsOnPool = !runner.BlocksThread;
        _runner = runner;
        _deferring = Slots == 1 && ShortWait.Pays && runner is IDeferringBatchRunner<TIn, TOut> { CanDefer: true } deferring ? deferring : null;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(hardStop);
    }

    /// <summary>The scheduler's name for it.</summary>
    public int Id { get; }

    public InstanceDescriptor Machine { get; }

    /// <summary>The offering's index.</summary>
    public int Offering { get; }

    /// <summary>The provider's name for its machine.</summary>
    public string InstanceId => Machine.Id;

    /// <summary>Whether a newer version of the model has taken its place on the machine; under the engine's lock.</summary>
    public bool IsSuperseded { get; set; }

    /// <summary>When it has ended and its runner is disposed.</summary>
    public Task Ended => _ended.Task;

    public int Slots { get; }

    public int MaxBatchSize { get; }

    public bool RunsOnPool { get; }

    public void Start()
    {
        if (!RunsOnPool)
        {
            StartThreads();
        }
    }

    /// <summary>Whether batches take so little time that their callers go on first.</summary>
    public bool RanShort => Volatile.Read(ref _ranShort);

    /// <summary>Takes note of how long a batch took. One long one among short ones was disturbed; two in a row are long.</summary>
    public void OnRan(bool isShort, bool isDone)
    {
        var ranShort = isShort || (isDone && _ranShort && !_lastWasLong);
        // Written seldom: the line is read by all.
        if (_lastWasLong == isShort)
        {
            _lastWasLong = !isShort;
        }
        if (ranShort != _ranShort)
        {
            Volatile.Write(ref _ranShort, ranShort);
        }
    }

    /// <summary>Has a batch run by a thread that has nothing else to do.</summary>
    public void Enqueue(BatchWork<TIn, TOut> work)
    {
        if (RunsOnPool)
        {
            ThreadPool.UnsafeQueueUserWorkItem(work, preferLocal: false);
        }
        else
        {
            EnqueueForOwnThread(work);
        }
    }

    /// <summary>Runs a batch, and those that follow it, on this thread of the pool.</summary>
    public void Run(BatchWork<TIn, TOut> work)
    {
        // Stopped meanwhile: what the batch held has been ended or handed back.
        if (TryBegin())
        {
            Go(work);
        }
    }

    /// <summary>Runs a sample on the instance while it has nothing else to run.</summary>
    public Task ProbeAsync(TIn sample, TimeProvider time) => _probe = OwnContext.Run(() => BatchProfiler.WarmUpAsync(_runner, sample, 1, time, _stop.Token));

    /// <summary>Runs what is queued and ends; a hard stop also tells the runner to leave it. Whoever stops it first disposes of the runner.</summary>
    public async Task StopAsync(bool hard)
    {
        var isFirst = (Interlocked.Or(ref _loops, Stopping) & Stopping) == 0;
        if (isFirst && !RunsOnPool)
        {
            WakeThreads();
        }
        if (hard && !_ended.Task.IsCompleted)
        {
            await CancelAsync().ConfigureAwait(false);
        }
        if (!isFirst)
        {
            await _ended.Task.ConfigureAwait(false);
            return;
        }
        SayIfIdle(Volatile.Read(ref _loops));
        await _idle.Task.ConfigureAwait(false);
        await _probe.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            await DisposeAsync().ConfigureAwait(false);
        }
        finally
        {
            _ended.TrySetResult();
        }
    }

    private async Task CancelAsync()
    {
        try
        {
            await _stop.CancelAsync().ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // Another has ended it meanwhile: there is nothing left to cancel.
            return;
        }
        catch (AggregateException e)
        {
            _engine.Report(new ServingException($"What the runner of model '{_engine.ModelName}' on {InstanceId} had registered with its token threw: {e.InnerExceptions[0].Message}", e));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _runner.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private bool TryBegin()
    {
        var loops = Volatile.Read(ref _loops);
        while ((loops & Stopping) == 0)
        {
            var before = Interlocked.CompareExchange(ref _loops, loops + 1, loops);
            if (before == loops)
            {
                return true;
            }
            loops = before;
        }
        return false;
    }

    private void End() => SayIfIdle(Interlocked.Decrement(ref _loops));

    private void SayIfIdle(int loops)
    {
        if (loops == Stopping)
        {
            _idle.TrySetResult();
        }
    }

    private void Go(BatchWork<TIn, TOut>? work)
    {
        while (work is not null)
        {
            work.RunsInTurn = RanShort;
            if (!TryRun(work, out work))
            {
                return;
            }
            if (RanShort && work is not null && _engine.TryBeginTurn(out var ticket))
            {
                // Short batches and their callers are quickest on one thread.
                End();
                _engine.TakeTurn(ticket, work);
                return;
            }
            _engine.EnsureTurnIfDue();
        }
        End();
    }

    /// <summary>Runs a batch as part of a turn, and leaves what follows it to the turn.</summary>
    /// <returns>What follows; nothing also where the run is still under way, and goes on by itself.</returns>
    public BatchWork<TIn, TOut>? RunInTurn(BatchWork<TIn, TOut> work)
    {
        BatchWork<TIn, TOut>? next = null;
        if (TryBegin())
        {
            work.RunsInTurn = true;
            if (TryRun(work, out next))
            {
                End();
            }
        }
        return next;
    }

    /// <summary>Runs a batch.</summary>
    /// <param name="work">The batch.</param>
    /// <param name="next">What this instance runs next.</param>
    /// <returns>Whether it has ended; otherwise it goes on by itself.</returns>
    [SuppressMessage("Reliability", "CA2012", Justification = "Each ValueTask is consumed once.")]
    private bool TryRun(BatchWork<TIn, TOut> work, out BatchWork<TIn, TOut>? next)
    {
        var activity = StartActivity(work);
        ValueTask run;
        try
        {
            run = _runner.RunAsync(work.Inputs, work, _stop.Token);
        }
        catch (Exception e)
        {
            next = Finish(e, work, activity);
            return true;
        }
        if (!run.IsCompletedSuccessfully)
        {
            next = null;
            // Whatever has been answered already is due, since this thread's turn may be over before the run is.
            work.RunsInTurn = false;
            _engine.EnsureTurnIfDue();
            _ = GoOnAsync(run, work, activity);
            Leave(activity);
            return false;
        }
        run.GetAwaiter().GetResult();
        next = Finish(null, work, activity);
        return true;
    }

    private async Task GoOnAsync(ValueTask run, BatchWork<TIn, TOut> work, Activity? activity)
    {
        Exception? error = null;
        try
        {
            await run.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            error = e;
        }
        var next = Finish(error, work, activity);
        _engine.EnsureTurnIfDue();
        Go(next);
    }

    /// <summary>Tells the engine how the batch went.</summary>
    /// <returns>What this instance runs next.</returns>
    private BatchWork<TIn, TOut>? Finish(Exception? error, BatchWork<TIn, TOut> work, Activity? activity)
    {
        Stop(activity, error);
        return error is null ? _engine.OnBatchCompleted(work, this) : _engine.OnBatchFailed(work, error, this);
    }

    /// <summary>A span of its own trace: a batch is of many requests, and none of them is its parent.</summary>
    private Activity? StartActivity(BatchWork<TIn, TOut> work)
    {
        if (!ServingInstruments.Activities.HasListeners())
        {
            return null;
        }
        try
        {
            Activity.Current = null;
            var activity = ServingInstruments.Activities.StartActivity("mark.serving.batch");
            return activity?.SetTag("mark.model", _engine.ModelName).SetTag("mark.instance.id", InstanceId).SetTag("mark.batch.size", work.Count)
                .SetTag("mark.batch.reason", ServingInstruments.NameOf(work.Reason)).SetTag("mark.batch.oldest_wait", work.OldestWait.TotalSeconds);
        }
        catch (Exception e)
        {
            ReportListener(e);
            return null;
        }
    }

    /// <summary>The span goes on elsewhere: what this thread does next is no part of it.</summary>
    private static void Leave(Activity? activity)
    {
        if (activity is not null)
        {
            Activity.Current = null;
        }
    }

    public void Stop(Activity? activity, Exception? error)
    {
        try
        {
            if (error is not null)
            {
                activity?.SetStatus(ActivityStatusCode.Error, error.Message).SetTag("error.type", error.GetType().FullName);
            }
            activity?.Dispose();
        }
        catch (Exception e)
        {
            ReportListener(e);
        }
    }

    private void ReportListener(Exception e) => _engine.Report(new ServingException($"A listener to the activity source {ServingInstruments.Name} threw: {e.Message}", e));
}
