using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using MArk.Serving.Diagnostics;
using MArk.Serving.Profiling;

namespace MArk.Serving.Engine;

/// <summary>An instance that serves: takes batches from its channel and runs them, as many at a time as it has slots.</summary>
internal sealed class InstanceWorker<TIn, TOut> : IAsyncDisposable
{
    private readonly ModelEngine<TIn, TOut> _engine;
    private readonly IBatchRunner<TIn, TOut> _runner;
    private readonly Channel<BatchWork<TIn, TOut>> _work;
    private readonly CancellationTokenSource _stop;
    private Task _loops = Task.CompletedTask;
    private volatile Task _probe = Task.CompletedTask;

    public InstanceWorker(ModelEngine<TIn, TOut> engine, int id, string instanceId, IBatchRunner<TIn, TOut> runner, CancellationToken hardStop)
    {
        _engine = engine;
        Id = id;
        InstanceId = instanceId;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(hardStop);
        _runner = runner;
        _work = Channel.CreateUnbounded<BatchWork<TIn, TOut>>(new UnboundedChannelOptions { SingleReader = runner.Slots == 1, AllowSynchronousContinuations = false });
    }

    /// <summary>The scheduler's name for it.</summary>
    public int Id { get; }

    /// <summary>The provider's name for its machine.</summary>
    public string InstanceId { get; }

    public int Slots => _runner.Slots;

    public int MaxBatchSize => _runner.MaxBatchSize;

    public void Start() => _loops = Task.WhenAll(Enumerable.Range(0, _runner.Slots).Select(_ => _runner.BlocksThread
        ? Task.Factory.StartNew(LoopOnOwnThread, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
        : Task.Run(LoopAsync)));

    public void Enqueue(BatchWork<TIn, TOut> work) => _work.Writer.TryWrite(work);

    /// <summary>Runs a sample on the instance while it has nothing else to run.</summary>
    public Task ProbeAsync(TIn sample) => _probe = Task.Run(() => BatchProfiler.WarmUpAsync(_runner, sample, 1, _stop.Token));

    /// <summary>Runs what is queued and ends.</summary>
    public async Task StopAsync(bool hard)
    {
        _work.Writer.TryComplete();
        if (hard)
        {
            await _stop.CancelAsync().ConfigureAwait(false);
        }
        await _loops.ConfigureAwait(false);
        await _probe.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await DisposeAsync().ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _runner.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task LoopAsync()
    {
        while (await _work.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            while (_work.Reader.TryRead(out var work))
            {
                var activity = StartActivity(work);
                try
                {
                    await _runner.RunAsync(work.Inputs, work, _stop.Token).ConfigureAwait(false);
                }
                catch (Exception e)
                {
                    Stop(activity);
                    _engine.OnBatchFailed(work, e);
                    continue;
                }
                Stop(activity);
                _engine.OnBatchCompleted(work);
            }
        }
    }

    /// <summary>For a runner that computes on the calling thread: it must not hold a thread of the pool, which its callers' continuations need.</summary>
    [SuppressMessage("Reliability", "CA2012", Justification = "The thread is the runner's own, and each ValueTask is consumed once.")]
    private void LoopOnOwnThread()
    {
        using var wake = new ManualResetEventSlim();
        Action set = wake.Set;
        while (true)
        {
            var wait = _work.Reader.WaitToReadAsync().GetAwaiter();
            if (!wait.IsCompleted)
            {
                wake.Reset();
                wait.UnsafeOnCompleted(set);
                wake.Wait();
            }
            if (!wait.GetResult())
            {
                return;
            }
            while (_work.Reader.TryRead(out var work))
            {
                var activity = StartActivity(work);
                try
                {
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
                catch (Exception e)
                {
                    Stop(activity);
                    _engine.OnBatchFailed(work, e);
                    continue;
                }
                Stop(activity);
                _engine.OnBatchCompleted(work);
            }
        }
    }

    private Activity? StartActivity(BatchWork<TIn, TOut> work)
    {
        try
        {
            var activity = ServingInstruments.Activities.StartActivity("mark.serving.batch");
            return activity?.SetTag("mark.model", _engine.ModelName).SetTag("mark.instance", InstanceId).SetTag("mark.batch.size", work.Count)
                .SetTag("mark.batch.reason", ServingInstruments.NameOf(work.Reason)).SetTag("mark.batch.oldest_wait", work.OldestWait.TotalSeconds);
        }
        catch (Exception e)
        {
            ReportListener(e);
            return null;
        }
    }

    private void Stop(Activity? activity)
    {
        try
        {
            activity?.Dispose();
        }
        catch (Exception e)
        {
            ReportListener(e);
        }
    }

    private void ReportListener(Exception e) => _engine.Report(new ServingException($"A listener to the activity source {ServingInstruments.Name} threw: {e.Message}", e));
}
