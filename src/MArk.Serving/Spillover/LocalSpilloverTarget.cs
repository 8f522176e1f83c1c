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
    : ISpilloverTarget<TIn, TOut>, IVersionFollower<TIn, TOut>, IPrewarmable, IAsyncDisposable
{
    private readonly ConcurrentStack<Copy> _idle = new();
    private readonly SemaphoreSlim _free = new(options.MaxConcurrency);
    private readonly Lock _gate = new();
    private LatencyProfile _device = LatencyProfile.Unmeasured(1);
    private LatencyProfile _learned = LatencyProfile.Unmeasured(1);
    private TimeSpan _connectTime;
    private volatile IBatchRunnerFactory<TIn, TOut> _factory = factory;
    private volatile bool _isDisposed;
    private Action<ServingException>? _report;      // of the last switch: before it there is no older version

    public async ValueTask InitializeAsync(CancellationToken cancellationToken)
    {
        await _factory.InitializeAsync(cancellationToken).ConfigureAwait(false);
        var sample = warmUp.Input;
        if (!warmUp.Given && !_factory.TryCreateSample(out sample))
        {
            throw new ServingException($"The local spillover of model '{modelName}' has nothing to measure the model with: call WithWarmUpInput.");
        }
        var start = time.GetTimestamp();
        var runner = await ConnectAsync(_factory, cancellationToken).ConfigureAwait(false);
        _connectTime = time.GetElapsedTime(start);
        var measured = await BatchProfiler.MeasureAsync(runner, sample!, 1, time, cancellationToken).ConfigureAwait(false);
        _device = options.DeviceTimeScale > 1 ? measured.Scale(options.DeviceTimeScale) : measured;
        _learned = _device.Clone();
        _idle.Push(new Copy(_factory, Scaled(runner)));
    }

    public async Task<IVersionSwitch> PrepareAsync(IBatchRunnerFactory<TIn, TOut> next, CancellationToken cancellationToken) =>
        new Switch(this, new Copy(next, Scaled(await ConnectAsync(next, cancellationToken).ConfigureAwait(false))));

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
        // At once, so that a quote from here on knows of it.
        var place = _free.WaitAsync(cancellationToken);
        // Off the thread that decided to spill: it is a caller's, or an instance's own.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        await place.ConfigureAwait(false);
        try
        {
            Copy copy;
            while (true)
            {
                if (!_idle.TryPop(out copy))
                {
                    var version = _factory;
                    copy = new Copy(version, Scaled(await ConnectAsync(version, cancellationToken).ConfigureAwait(false)));
                }
                if (copy.Version == _factory)
                {
                    break;
                }
                await EndAsync(copy).ConfigureAwait(false);
            }
            await RunWarmAsync(copy, batch, sink, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _free.Release();
        }
    }

    public async ValueTask PrewarmAsync(int concurrency, CancellationToken cancellationToken)
    {
        // Off the control loop: loading computes on the calling thread.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        while (!_isDisposed && _idle.Count < Math.Min(concurrency, _free.CurrentCount))
        {
            // A copy that is being made is one at a time, as one that runs is.
            await _free.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                var version = _factory;
                await GiveBackAsync(new Copy(version, Scaled(await ConnectAsync(version, cancellationToken).ConfigureAwait(false)))).ConfigureAwait(false);
            }
            finally
            {
                _free.Release();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        _isDisposed = true;
        while (_idle.TryPop(out var copy))
        {
            await copy.Runner.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task RunWarmAsync(Copy copy, RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        try
        {
            await copy.Runner.RunAsync(batch, sink, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await GiveBackAsync(copy).ConfigureAwait(false);
        }
        if (batch.Count == 1)
        {
            lock (_gate)
            {
                _learned.Observe(1, time.GetElapsedTime(start));
            }
        }
    }

    private async Task GiveBackAsync(Copy copy)
    {
        if (copy.Version == _factory)
        {
            _idle.Push(copy);
            if (copy.Version != _factory)
            {
                await DropOlderAsync().ConfigureAwait(false);
            }
        }
        else
        {
            await EndAsync(copy).ConfigureAwait(false);
        }
        if (_isDisposed)
        {
            await DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Ends what is idle of older versions; also where a copy became idle just as the version was switched, after the others had gone.</summary>
    private async Task DropOlderAsync()
    {
        var idle = new List<Copy>();
        while (_idle.TryPop(out var copy))
        {
            idle.Add(copy);
        }
        var version = _factory;
        idle.Where(copy => copy.Version == version).ToList().ForEach(_idle.Push);
        foreach (var copy in idle.Where(copy => copy.Version != version))
        {
            await EndAsync(copy).ConfigureAwait(false);
        }
        if (version != _factory)
        {
            await DropOlderAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Ends a copy of an older version. What it throws is nobody's request's fault.</summary>
    private async Task EndAsync(Copy copy)
    {
        try
        {
            await copy.Runner.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _report?.Invoke(new ServingException($"A copy of the older version of model '{modelName}', for the local spillover, did not end cleanly: {e.Message}", e));
        }
    }

    private IBatchRunner<TIn, TOut> Scaled(IBatchRunner<TIn, TOut> runner) =>
        options.DeviceTimeScale > 1 ? new DeviceTimeScaledRunner<TIn, TOut>(runner, _device, options.DeviceTimeScale, time) : runner;

    private ValueTask<IBatchRunner<TIn, TOut>> ConnectAsync(IBatchRunnerFactory<TIn, TOut> version, CancellationToken cancellationToken) => version.ConnectAsync(
        new InstanceDescriptor { Id = $"{modelName}-spillover", LaunchId = $"{modelName}-spillover", OfferingName = "local-spillover", State = InstanceState.Running, Threads = 1 },
        cancellationToken);

    private async Task SwitchToAsync(Copy next, Action<ServingException> report)
    {
        _report = report;
        _factory = next.Version;
        await GiveBackAsync(next).ConfigureAwait(false);
        // The copies of the older version that are idle go now, those that run once they are done.
        await DropOlderAsync().ConfigureAwait(false);
    }

    private sealed class Switch(LocalSpilloverTarget<TIn, TOut> target, Copy next) : IVersionSwitch
    {
        private bool _isMade;

        public Task SwitchAsync(Action<ServingException> report)
        {
            _isMade = true;
            return target.SwitchToAsync(next, report);
        }

        public ValueTask DisposeAsync() => _isMade ? ValueTask.CompletedTask : next.Runner.DisposeAsync();
    }

    private readonly record struct Copy(IBatchRunnerFactory<TIn, TOut> Version, IBatchRunner<TIn, TOut> Runner);
}
