using MArk.Serving.Provisioning;
using MArk.Serving.Spillover;

namespace MArk.Serving.Engine;

// Start, stop, instances and spillover.
internal sealed partial class ModelEngine<TIn, TOut>
{
    private static readonly TimeSpan FleetDrainTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan HardStopGrace = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan QuoteRetry = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _hardStop = new();
    private readonly SemaphoreSlim _lifecycle = new(1);
    private long _spillsStarted;    // how many requests the spillover target was given
    private bool _isDisposed;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _lifecycle.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_started || _ended)
            {
                return;
            }
            await _factory.InitializeAsync(cancellationToken).ConfigureAwait(false);
            if (_parts.Spillover is { } spillover)
            {
                await spillover.InitializeAsync(cancellationToken).ConfigureAwait(false);
                RefreshQuote();
            }
            if (_parts.Provider is { } provider)
            {
                await StartFleetAsync(provider, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await AddFixedInstancesAsync(cancellationToken).ConfigureAwait(false);
            }
            _startedAt = Now;
            _started = true;
        }
        finally
        {
            _lifecycle.Release();
        }
    }

    private async Task AddFixedInstancesAsync(CancellationToken cancellationToken)
    {
        ConfiguredOfferings.CheckProfiles(ModelName, _parts.Profiles.Keys, [EngineParts<TIn, TOut>.FixedOffering]);
        var cores = _parts.Cores;
        for (var i = 0; i < cores.Instances; i++)
        {
            await AddInstanceAsync(
                new InstanceDescriptor { Id = $"local-{i}", LaunchId = $"local-{i}", OfferingName = EngineParts<TIn, TOut>.FixedOffering, State = InstanceState.Running, Threads = cores.Threads },
                offering: 0, cancellationToken).ConfigureAwait(false);
            if (!_hasThreads)
            {
                // It may wait for a machine elsewhere, of which there need not be more than one: only the host knows.
                cores.KeepOne();
            }
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _lifecycle.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (_ended)
            {
                return;
            }
            Tell(now => _scheduler.OnStopping(now));
            var isDrained = await DrainAsync(cancellationToken).ConfigureAwait(false);
            lock (_gate)
            {
                _ended = true;
            }
            TakeInArrivals();
            try
            {
                if (_fleet is not null)
                {
                    // What runs still, after the time to finish, must not keep its machine.
                    await _fleet.StopAsync(isDrained ? FleetDrainTimeout : TimeSpan.Zero).ConfigureAwait(false);
                }
            }
            finally
            {
                InstanceWorker<TIn, TOut>[] workers;
                lock (_gate)
                {
                    workers = [.. _workers.Values];
                }
                TakeInArrivals();
                await StopAllAsync(workers).ConfigureAwait(false);
                // What is left to deliver is the pool's.
                _turnThread?.End();
                _parts.Cores.Release();
                await _timer.DisposeAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            _lifecycle.Release();
        }
    }

    /// <summary>A runner that does not heed its token is left behind: the host must be able to end.</summary>
    private async Task StopAllAsync(InstanceWorker<TIn, TOut>[] workers)
    {
        var stops = workers.Select(worker => (worker.InstanceId, Stop: worker.StopAsync(hard: true))).ToArray();
        try
        {
            await Task.WhenAll(stops.Select(s => s.Stop)).WaitAsync(HardStopGrace, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            var left = string.Join(", ", stops.Where(s => !s.Stop.IsCompleted).Select(s => s.InstanceId));
            Report(new ServingException($"The runners of model '{ModelName}' on {left} did not end within {HardStopGrace} of being cancelled; they are left behind."));
        }
        catch (Exception e)
        {
            Report(new ServingException($"An instance of model '{ModelName}' did not stop cleanly: {e.Message}", e));
        }
    }

    public async ValueTask DisposeAsync()
    {
        // The container disposes what it hands out as often as it hands it out under another type.
        if (Interlocked.Exchange(ref _isDisposed, true))
        {
            return;
        }
        await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        if (_fleet is not null)
        {
            await _fleet.DisposeAsync().ConfigureAwait(false);
        }
        if (_parts.DisposesSpillover && _parts.Spillover is IAsyncDisposable spillover)
        {
            await spillover.DisposeAsync().ConfigureAwait(false);
        }
        // The source of the hard stop's token is left to the collector: a reload that comes late may still ask for it. So is the timer that looks after callers who are
        // to go on: some may be left, and it stops by itself when there are none.
    }

    /// <summary>Waits until all that was accepted has ended; at the drain deadline refuses what waits and gives up what runs.</summary>
    private async Task<bool> DrainAsync(CancellationToken cancellationToken)
    {
        var waiting = 0;
        try
        {
            await _drained.Task.WaitAsync(_parts.Options.DrainTimeout, _time, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            // The drain is over its time: what follows ends the rest.
            Tell(now =>
            {
                waiting = _scheduler.WaitingCount;
                _scheduler.OnDrainDeadline(now);
            });
        }
        try
        {
            await _hardStop.CancelAsync().ConfigureAwait(false);
        }
        catch (AggregateException e)
        {
            Report(new ServingException($"What a runner of model '{ModelName}' had registered with its token threw: {e.InnerExceptions[0].Message}", e));
        }
        var left = new List<InferenceOperation<TIn, TOut>>();
        lock (_gate)
        {
            // Ended here, where none of them can have become another call meanwhile; their callers are told outside the lock.
            for (var slot = 0; slot < _bySlot.Length; slot++)
            {
                // One whose caller has its answer already may be another call by now, which has a slot of its own or is yet to be taken in.
                if (_bySlot[slot] is { IsTakenIn: true } operation && operation.Id.Slot == slot && operation.TryAbandon(InferenceResult<TOut>.Rejection(ModelName, RejectionReason.Draining)))
                {
                    left.Add(operation);
                }
            }
            Array.Clear(_bySlot);
            _counters.Rejected += left.Count;
        }
        TakeInArrivals();
        left.ForEach(operation => operation.Signal());
        if (waiting + left.Count > 0)
        {
            Report(() => _parts.TellUnfinished(waiting, left.Count));
        }
        return false;
    }

    private void OnInstanceDrained(InstanceWorker<TIn, TOut> worker) => _ = ObserveAsync(EndAsync(worker));

    private async Task EndAsync(InstanceWorker<TIn, TOut> worker)
    {
        try
        {
            await worker.StopAsync(hard: false).ConfigureAwait(false);
        }
        finally
        {
            if (!worker.IsSuperseded)
            {
                _fleet?.OnDrained(worker.InstanceId);
            }
        }
    }

    /// <summary>The slot is passed, not read from the operation: once its caller has the answer, the operation may be another call's.</summary>
    private async Task SpillAsync(BatchWork<TIn, TOut> work, InferenceOperation<TIn, TOut> operation, int slot)
    {
        var target = _parts.Spillover!;
        var price = 0m;
        try
        {
            ValueTask run;
            try
            {
                price = Quote(target).Price(1);
                run = target.InferAsync(work.Inputs, work, _hardStop.Token);
            }
            finally
            {
                Interlocked.Increment(ref _spillsStarted);
            }
            await run.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Report(e as ServingException ?? new ServingException($"The spillover target {target.GetType().Name} of model '{ModelName}' failed a request: {e.Message}", e));
        }
        work.Close();
        Record(work);
        work.GiveDestinationsBack();
        var started = Interlocked.Read(ref _spillsStarted);
        var quote = Quote(target);
        Tell(now =>
        {
            var answered = work.IsAnswered(0);
            if (answered && _bySlot[slot] == operation)
            {
                _bySlot[slot] = null;
            }
            if (answered)
            {
                _counters.CountSpilled(work);
                _ledger.OnSpilled(price);
            }
            _scheduler.OnQuote(now, quote, started);
            _scheduler.OnSpillCompleted(now, slot, answered, work.IsLate(0));
        });
    }

    private void RefreshQuote()
    {
        if (_parts.Spillover is { } target)
        {
            // Counted first: what the target is given meanwhile, the quote may not know of.
            var started = Interlocked.Read(ref _spillsStarted);
            var quote = Quote(target);
            Tell(now => _scheduler.OnQuote(now, quote, started));
        }
    }

    private double PriceOf(ISpilloverTarget<TIn, TOut> target, in SpilloverQuote quote)
    {
        try
        {
            return (double)quote.Price(1);
        }
        catch (OverflowException e)
        {
            Report(new ContractViolationException(target.GetType().Name, "has a price that is no amount of money.", e));
            return 0;
        }
    }

    /// <summary>A target that cannot say what it would do takes nothing, until it is asked again.</summary>
    private SpilloverQuote Quote(ISpilloverTarget<TIn, TOut> target)
    {
        SpilloverQuote quote;
        try
        {
            quote = target.GetQuote();
        }
        catch (Exception e)
        {
            Report(new ContractViolationException(target.GetType().Name, "threw from GetQuote.", e));
            return new SpilloverQuote { Warm = default, Cold = default, FreeConcurrency = 0, ValidFor = QuoteRetry };
        }
        if (QuoteBounds.Violation(quote) is { } violation)
        {
            Report(new ContractViolationException(target.GetType().Name, violation));
        }
        return QuoteBounds.Clamp(quote);
    }

    /// <summary>Tells the scheduler of an event, after all calls that were made before.</summary>
    private void Tell(Action<TimeSpan> tell)
    {
        List<Effect<TIn, TOut>>? effects = null;
        try
        {
            lock (_gate)
            {
                var now = Now;
                effects = TakeInArrivalsUnderLock(now, null);
                _scheduler.OnArrivalsEnd(now);
                // Before the event, which may take away an instance that the arrivals were dispatched to.
                effects = Collect(null, effects);
                try
                {
                    tell(now);
                }
                finally
                {
                    effects = Collect(null, effects);
                }
            }
        }
        finally
        {
            // What was decided is carried out, whatever threw: those it is about would wait for ever.
            Execute(effects);
            TakeInArrivals();
        }
    }

    private async Task ObserveAsync(Task task)
    {
        try
        {
            await task.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Report(new ServingException($"An instance of model '{ModelName}' did not stop cleanly: {e.Message}", e));
        }
    }
}
