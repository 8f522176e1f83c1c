using System.Collections.Concurrent;
using MArk.Serving.Engine;
using MArk.Serving.Profiling;

namespace MArk.Serving.Spillover;

/// <summary>
/// Runs the model outside the fleet, in this process, one request at a time on each of a bounded number of copies. Copies are made when they are
/// first needed, which is this target's cold start.
/// </summary>
internal sealed class LocalSpilloverTarget<TIn, TOut>(
    IBatchRunnerFactory<TIn, TOut> factory, (bool Given, TIn? Input) warmUp, LocalSpilloverOptions options, string modelName, TimeProvider time)
    : ISpilloverTarget<TIn, TOut>, IAsyncDisposable
{
    private readonly ConcurrentStack<IBatchRunner<TIn, TOut>> _idle = new();
    private readonly SemaphoreSlim _free = new(options.MaxConcurrency);
    private readonly Lock _gate = new();
    private LatencyProfile _device = LatencyProfile.Unmeasured(1);
    private LatencyProfile _learned = LatencyProfile.Unmeasured(1);
    private TimeSpan _connectTime;
    private volatile bool _isDisposed;

    public async ValueTask InitializeAsync(CancellationToken cancellationToken)
    {
        await factory.InitializeAsync(cancellationToken).ConfigureAwait(false);
        var sample = warmUp.Input;
        if (!warmUp.Given && !factory.TryCreateSample(out sample))
        {
            throw new ServingException($"The local spillover of model '{modelName}' has nothing to measure the model with: call WithWarmUpInput.");
        }
        var start = time.GetTimestamp();
        var runner = await ConnectAsync(cancellationToken).ConfigureAwait(false);
        _connectTime = time.GetElapsedTime(start);
        var measured = await BatchProfiler.MeasureAsync(runner, sample!, 1, time, cancellationToken).ConfigureAwait(false);
        _device = options.DeviceTimeScale > 1 ? measured.Scale(options.DeviceTimeScale) : measured;
        _learned = _device.Clone();
        _idle.Push(Scaled(runner));
    }

    public SpilloverQuote GetQuote()
    {
        LatencyQuantiles warm;
        lock (_gate)
        {
            warm = new LatencyQuantiles(_learned.Mean(1), _learned.High(1), _learned.High(1));
        }
        return new SpilloverQuote
        {
            Warm = warm,
            Cold = new LatencyQuantiles(warm.P50 + _connectTime, warm.P95 + _connectTime, warm.P99 + _connectTime),
            FreeConcurrency = _free.CurrentCount,
            WarmConcurrency = Math.Min(_free.CurrentCount, _idle.Count),
            PricePerRequest = options.PricePerRequest,
            ValidFor = TimeSpan.MaxValue,
        };
    }

    public async ValueTask InferAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        // Off the thread that decided to spill: it is a caller's, or an instance's own.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        await _free.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_idle.TryPop(out var runner))
            {
                await RunWarmAsync(runner, batch, sink, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await RunWarmAsync(Scaled(await ConnectAsync(cancellationToken).ConfigureAwait(false)), batch, sink, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _free.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _isDisposed = true;
        while (_idle.TryPop(out var runner))
        {
            await runner.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task RunWarmAsync(IBatchRunner<TIn, TOut> runner, RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        try
        {
            await runner.RunAsync(batch, sink, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _idle.Push(runner);
            if (_isDisposed)
            {
                await DisposeAsync().ConfigureAwait(false);
            }
        }
        if (batch.Count == 1)
        {
            lock (_gate)
            {
                _learned.Observe(1, time.GetElapsedTime(start));
            }
        }
    }

    private IBatchRunner<TIn, TOut> Scaled(IBatchRunner<TIn, TOut> runner) =>
        options.DeviceTimeScale > 1 ? new DeviceTimeScaledRunner<TIn, TOut>(runner, _device, options.DeviceTimeScale, time) : runner;

    private ValueTask<IBatchRunner<TIn, TOut>> ConnectAsync(CancellationToken cancellationToken) => factory.ConnectAsync(
        new InstanceDescriptor { Id = $"{modelName}-spillover", LaunchId = $"{modelName}-spillover", OfferingName = "local-spillover", State = InstanceState.Running, Threads = 1 },
        cancellationToken);
}
