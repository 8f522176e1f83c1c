using System.Collections.Concurrent;
using MArk.Serving.Prediction;
using MArk.Serving.Profiling;
using MArk.Serving.Provisioning;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Engine;

// The instances: of a provider's fleet, or a fixed number in this process.
internal sealed partial class ModelEngine<TIn, TOut> : IInstancePool
{
    // A machine elsewhere begins with a quarter of a batch, then half of one.
    private const int RemoteSlowStart = 2;

    private readonly SemaphoreSlim _measuring = new(1);
    private readonly Dictionary<int, LatencyProfile> _measured = [];    // by offering, under the measuring semaphore
    private readonly ConcurrentDictionary<int, IBatchPolicy> _policies = new();     // by offering, made under the measuring semaphore
    private ArrivalCounter? _arrivals;                                  // under the lock
    private FleetOperator? _fleet;

    /// <summary>Whether it is counted what becomes of the requests of each slot, for a fleet's monitor: decided before the first request.</summary>
    internal bool CountsOutcomes => _counters.Outcomes is not null;

    private DateTimeOffset Utc(TimeSpan now) => _utcOrigin + now;

    async Task IInstancePool.ConnectAsync(InstanceDescriptor machine, int offering, CancellationToken cancellationToken) =>
        await AddInstanceAsync(machine, offering, cancellationToken).ConfigureAwait(false);

    void IInstancePool.Drain(string instanceId)
    {
        InstanceWorker<TIn, TOut>? worker = null;
        Tell(now =>
        {
            worker = WorkerOf(instanceId);
            if (worker is not null)
            {
                _scheduler.OnInstanceDraining(now, worker.Id);
            }
        });
        if (worker is null)
        {
            _fleet!.OnDrained(instanceId);
        }
    }

    void IInstancePool.Lose(string instanceId)
    {
        // Two, while a newer version takes the place of an older one there.
        InstanceWorker<TIn, TOut>[] lost = [];
        BatchWork<TIn, TOut>[] running = [];
        Tell(now =>
        {
            lost = [.. _workers.Values.Where(w => w.InstanceId == instanceId)];
            running = LoseUnderLock(now, lost);
        });
        foreach (var work in running)
        {
            Record(work);
        }
        foreach (var worker in lost)
        {
            _ = ObserveAsync(worker.StopAsync(hard: true));
        }
    }

    void IInstancePool.ExpectCapacity(DateTimeOffset? readyAt) =>
        Tell(now => _scheduler.OnCapacityExpected(now, readyAt is { } at ? at - _utcOrigin : TimeSpan.MaxValue));

    void IInstancePool.TakeSamples(DateTimeOffset now, List<ArrivalSample> samples)
    {
        lock (_gate)
        {
            // By the engine's own clock, which is monotonic: the same one the arrivals were counted by.
            while (_arrivals!.TryTakeFinished(Utc(Now), out var sample))
            {
                samples.Add(sample);
            }
        }
        TakeInArrivals();
    }

    void IInstancePool.TakeOutcomes(List<OutcomeSample> outcomes)
    {
        lock (_gate)
        {
            while (_counters.Outcomes!.TryTakeFinished(Now, out var sample))
            {
                outcomes.Add(sample);
            }
        }
        TakeInArrivals();
    }

    SpilloverTerms? IInstancePool.Spillover() =>
        _parts.Spillover is { } target && Quote(target) is var quote ? SpilloverTerms.Within(_parts.Options.Slo, PriceOf(target, quote), quote.Warm.P95) : null;

    async Task IInstancePool.PrewarmAsync(int concurrency, CancellationToken cancellationToken)
    {
        if (_parts.Spillover is IPrewarmable target)
        {
            await target.PrewarmAsync(concurrency, cancellationToken).ConfigureAwait(false);
            RefreshQuote();
        }
    }

    CapacityCurve IInstancePool.CapacityOf(int offering)
    {
        CapacityCurve capacity;
        lock (_gate)
        {
            capacity = _scheduler.CapacityOf(offering);
        }
        TakeInArrivals();
        return capacity;
    }

    private InstanceWorker<TIn, TOut>? WorkerOf(string instanceId)
    {
        foreach (var worker in _workers.Values)
        {
            if (worker.InstanceId == instanceId && !worker.IsSuperseded)
            {
                return worker;
            }
        }
        return null;
    }

    /// <summary>What ran on the instances of a machine and was not answered goes back to the queue; answers that still come from them are not heard.</summary>
    /// <returns>What ran there.</returns>
    private BatchWork<TIn, TOut>[] LoseUnderLock(TimeSpan now, InstanceWorker<TIn, TOut>[] lost)
    {
        int[] ids = [.. lost.Select(worker => worker.Id)];
        DispatchedBatch[] running = [.. ids.SelectMany(_scheduler.RunningOn)];
        BatchWork<TIn, TOut>[] works = [.. running.Select(batch => (BatchWork<TIn, TOut>)batch.Tag!)];
        foreach (var id in ids)
        {
            _workers.Remove(id);
        }
        foreach (var batch in running)
        {
            var work = (BatchWork<TIn, TOut>)batch.Tag!;
            work.TellKeptResults(turnFollows: false);
            work.Close();
            _counters.Count(work, batch);
            ReleaseAnswered(batch, work);
        }
        _scheduler.OnInstancesLost(now, ids, (batch, index) => ((BatchWork<TIn, TOut>)batch.Tag!).IsAnswered(index));
        foreach (var batch in running)
        {
            batch.Tag = null;
        }
        return works;
    }

    private async Task StartFleetAsync(IInstanceProvider provider, CancellationToken cancellationToken)
    {
        var options = _parts.Options.Fleet;
        var predictor = _parts.CreatePredictor();
        PredictorTrial.Run(ModelName, predictor, options, _time.GetUtcNow());
        await provider.InitializeAsync(cancellationToken).ConfigureAwait(false);
        var offerings = ConfiguredOfferings.Of(ModelName, provider.Offerings, options);
        if (OfferingRules.Violation(offerings, options.StandbyInstances) is { } violation)
        {
            throw new ContractViolationException(provider.GetType().Name, violation);
        }
        if (provider is not IStandbyProvider && offerings.FirstOrDefault(o => o.Market == InstanceMarket.Standby) is { } standby)
        {
            throw new ContractViolationException(
                provider.GetType().Name, $"offers '{standby.Name}' of market Standby, and cannot stop and start machines; accepted is an {nameof(IStandbyProvider)}, or offerings of the markets OnDemand and Spot.");
        }
        ConfiguredOfferings.CheckProfiles(ModelName, _parts.Profiles.Keys, [.. offerings.Select(o => o.Name)]);
        // One that acts on nothing would take the lease from one that does.
        var lease = options.DryRun ? null : _parts.Lease;
        var now = _time.GetUtcNow();
        DateTimeOffset countedFrom;
        lock (_gate)
        {
            countedFrom = Utc(Now);
            _arrivals = new ArrivalCounter(options.SampleInterval, countedFrom, _parts.Options.Slo);
            _counters.Outcomes = new OutcomeCounter(options.SampleInterval, _parts.Options.Slo, _utcOrigin, Now);
        }
        TakeInArrivals();
        var controller = new FleetController(
            FleetSettings.Of(
                ModelName, options, _parts.Options.ServiceLevel, _parts.Seed, launchIdPrefix: FormattableString.Invariant($"{now.Ticks:x}-"),
                ((IInstancePool)this).Spillover()) with { IsLeased = lease is not null },
            offerings, predictor, _parts.CreatePlanner(), _ledger);
        for (var i = 0; i < offerings.Count; i++)
        {
            if (_parts.Profiles.TryGetValue(offerings[i].Name, out var known))
            {
                controller.OnCapacity(now, i, CapacityCurve.Of([(known.Scale(offerings[i].DeviceTimeScale), _parts.Options.MaxBatchSize)], _parts.Options.Slo));
            }
        }
        var history = _parts.HistoryStore is { } store ? new HistoryKeeper(store, ModelName, countedFrom, _time, Report) : null;
        _fleet = new FleetOperator(controller, provider, this, options, ModelName, _time, Report, _parts.Explain, history, lease);
        await _fleet.StartAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task AddInstanceAsync(InstanceDescriptor descriptor, int offering, CancellationToken cancellationToken)
    {
        while (true)
        {
            var factory = _factory;
            var (worker, profile) = await ConnectAsync(factory, descriptor, offering, known: null, cancellationToken).ConfigureAwait(false);
            bool isTaken = false, isOld = false;
            try
            {
                Tell(now =>
                {
                    isOld = _factory != factory;
                    isTaken = !_ended && !isOld;
                    if (isTaken)
                    {
                        Take(now, worker, profile);
                    }
                });
            }
            catch
            {
                // However far it came: nothing is to be left with it.
                Tell(now => LoseUnderLock(now, [worker]));
                await worker.StopAsync(hard: true).ConfigureAwait(false);
                throw;
            }
            if (isTaken)
            {
                return;
            }
            // It was connected too late: the model has stopped meanwhile, or has a newer version.
            await worker.StopAsync(hard: true).ConfigureAwait(false);
            if (!isOld)
            {
                return;
            }
        }
    }

    private void Take(TimeSpan now, InstanceWorker<TIn, TOut> worker, LatencyProfile profile)
    {
        _workers.Add(worker.Id, worker);
        _hasThreads |= !worker.RunsOnPool;
        _scheduler.OnInstanceReady(now, worker.Id, worker.Offering, worker.MaxBatchSize, worker.Slots, profile, worker.Machine.Endpoint is null ? 0 : RemoteSlowStart);
    }

    /// <summary>Loads a version of the model on a machine and warms it up.</summary>
    /// <param name="factory">The version.</param>
    /// <param name="descriptor">The machine.</param>
    /// <param name="offering">Its offering's index.</param>
    /// <param name="known">How long batches take there, if it is not to be measured.</param>
    /// <param name="cancellationToken">Gives up.</param>
    private async Task<(InstanceWorker<TIn, TOut> Worker, LatencyProfile Profile)> ConnectAsync(
        IBatchRunnerFactory<TIn, TOut> factory, InstanceDescriptor descriptor, int offering, LatencyProfile? known, CancellationToken cancellationToken)
    {
        var runner = await factory.ConnectAsync(descriptor, cancellationToken).ConfigureAwait(false);
        InstanceWorker<TIn, TOut> worker;
        LatencyProfile profile;
        try
        {
            var largest = Math.Min(runner.MaxBatchSize, _parts.Options.MaxBatchSize);
            if (largest < 1 || runner.Slots < 1)
            {
                throw new ContractViolationException(runner.GetType().Name, $"has a MaxBatchSize of {runner.MaxBatchSize} and {runner.Slots} slots; accepted are at least 1 and 1.");
            }
            (runner, profile) = await WarmUpAsync(factory, runner, descriptor, offering, largest, cancellationToken).ConfigureAwait(false);
            worker = new InstanceWorker<TIn, TOut>(this, Interlocked.Increment(ref _nextInstance), descriptor, offering, runner, _hardStop.Token);
            if (!worker.RunsOnPool)
            {
                EnsureTurnThread();
            }
        }
        catch
        {
            await runner.DisposeAsync().ConfigureAwait(false);
            throw;
        }
        worker.Start();
        return (worker, known ?? profile);
    }

    /// <summary>Runs a sample at every size before an instance takes requests, and measures the first instance of an offering doing so.</summary>
    private async Task<(IBatchRunner<TIn, TOut> Runner, LatencyProfile Profile)> WarmUpAsync(
        IBatchRunnerFactory<TIn, TOut> factory, IBatchRunner<TIn, TOut> runner, InstanceDescriptor descriptor, int offering, int largest, CancellationToken cancellationToken)
    {
        var hasSample = _parts.TryCreateSample(factory, out var sample);
        var isStandIn = descriptor.DeviceTimeScale > 1;
        // One at a time: two that measure at once would measure each other.
        await _measuring.WaitAsync(cancellationToken).ConfigureAwait(false);
        LatencyProfile? profile;
        try
        {
            if (!_policies.ContainsKey(offering))
            {
                _policies[offering] = CreatePolicy(offering);
            }
            if (!_measured.TryGetValue(offering, out profile) && !_parts.Profiles.TryGetValue(descriptor.OfferingName, out profile) && hasSample)
            {
                profile = await BatchProfiler.MeasureAsync(runner, sample!, largest, _time, cancellationToken).ConfigureAwait(false);
            }
            else if (hasSample)
            {
                await BatchProfiler.WarmUpAsync(runner, sample!, largest, _time, cancellationToken).ConfigureAwait(false);
            }
            if (profile is not null)
            {
                _measured.TryAdd(offering, profile);
            }
        }
        finally
        {
            _measuring.Release();
        }
        if (!isStandIn)
        {
            return (runner, profile?.Clone() ?? LatencyProfile.Unmeasured(largest));
        }
        if (profile is null)
        {
            throw new ServingException(
                $"Offering '{descriptor.OfferingName}' of model '{ModelName}' stands in for a device {descriptor.DeviceTimeScale} times slower, and there is nothing to measure the model with: call WithWarmUpInput or WithProfile.");
        }
        var device = profile.Scale(descriptor.DeviceTimeScale);
        return (new DeviceTimeScaledRunner<TIn, TOut>(runner, device, descriptor.DeviceTimeScale, _time), device.Clone());
    }

    private IBatchPolicy CreatePolicy(int offering)
    {
        var name = _parts.OfferingName(offering);
        return _parts.CreatePolicy(new BatchPolicySettings(ModelName, name, _parts.Options.Slo, _parts.Options.MaxBatchSize))
            ?? throw new ContractViolationException("UseBatchPolicy", $"its function returned no policy for offering '{name}' of model '{ModelName}'.");
    }
}
