using System.Diagnostics.CodeAnalysis;
using MArk.Serving.Spillover;

namespace MArk.Serving.Engine;

// Another version of the model in the place of the one that serves.
internal sealed partial class ModelEngine<TIn, TOut>
{
    private readonly SemaphoreSlim _reloading = new(1);
    private volatile IBatchRunnerFactory<TIn, TOut> _factory;      // the version that serves; changed under the lock

    public Task ReloadAsync(IBatchRunnerFactory<TIn, TOut> next, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(next);
        return ReloadAsync(_ => next, cancellationToken);
    }

    public async Task ReloadAsync(Func<IBatchRunnerFactory<TIn, TOut>, IBatchRunnerFactory<TIn, TOut>> next, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(next);
        await _reloading.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // Loading and warming up compute on the thread that asks for it, and the pool's threads are needed by callers.
            var superseded = await Task.Factory.StartNew(
                () => SupersedeAsync(next(_factory) ?? throw new ModelReloadException(ModelName, "no version was made of the present one."), cancellationToken).GetAwaiter().GetResult(),
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
            await Task.WhenAll(superseded.Select(worker => worker.Ended)).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not (ModelReloadException or OperationCanceledException))
        {
            throw new ModelReloadException(ModelName, e.Message, e);
        }
        finally
        {
            _reloading.Release();
        }
    }

    /// <summary>Prepares a successor to every instance, and switches once all are ready.</summary>
    /// <returns>Those that have been superseded: they finish what they run.</returns>
    [SuppressMessage("Reliability", "CA2000", Justification = "Workers are stopped where the switch does not come about.")]
    private async Task<IReadOnlyList<InstanceWorker<TIn, TOut>>> SupersedeAsync(IBatchRunnerFactory<TIn, TOut> next, CancellationToken cancellationToken)
    {
        await next.InitializeAsync(cancellationToken).ConfigureAwait(false);
        var successors = new Dictionary<int, (InstanceWorker<TIn, TOut> Worker, LatencyProfile Profile)>();
        IVersionSwitch? spillover = null;
        try
        {
            spillover = _parts.Spillover is IVersionFollower<TIn, TOut> follower ? await follower.PrepareAsync(next, cancellationToken).ConfigureAwait(false) : null;
            while (true)
            {
                if (!_started || _ended)
                {
                    throw new ModelReloadException(ModelName, "it does not run: the host has not started it, or has stopped it.");
                }
                foreach (var (worker, profile) in Unprepared(successors))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    successors.Add(worker.Id, await ConnectAsync(next, worker.Machine, worker.Offering, profile, cancellationToken).ConfigureAwait(false));
                }
                // A version that runs elsewhere may know its inputs only once it is connected.
                RequireSameInputs(next);
                if (TrySwitch(next, successors, out var superseded))
                {
                    if (spillover is not null)
                    {
                        await spillover.SwitchAsync(Report).ConfigureAwait(false);
                    }
                    return superseded;
                }
            }
        }
        finally
        {
            // Those that did not come to serve: the reload failed, or the instance they were for went away meanwhile.
            foreach (var (worker, _) in successors.Values)
            {
                await ObserveAsync(worker.StopAsync(hard: true)).ConfigureAwait(false);
            }
            if (spillover is not null)
            {
                await ObserveAsync(spillover.DisposeAsync().AsTask()).ConfigureAwait(false);
            }
        }
    }

    private void RequireSameInputs(IBatchRunnerFactory<TIn, TOut> next)
    {
        if (!_parts.TryCreateSample(_factory, out var sample))
        {
            return;
        }
        long shape;
        try
        {
            shape = next.Admit(sample).ShapeKey;
        }
        catch (InferenceRejectedException)
        {
            // It learns its inputs from instances, of which there is none now.
            return;
        }
        if (shape != _factory.Admit(sample).ShapeKey)
        {
            throw new ModelReloadException(ModelName, "it groups inputs by other shapes than the present version, whose requests it would have to run.");
        }
    }

    /// <summary>The instances without a successor, and how long batches take there: the best guess for the successor, until it has run some.</summary>
    private List<(InstanceWorker<TIn, TOut> Worker, LatencyProfile Profile)> Unprepared(Dictionary<int, (InstanceWorker<TIn, TOut>, LatencyProfile)> successors)
    {
        var left = new List<(InstanceWorker<TIn, TOut>, LatencyProfile)>();
        lock (_gate)
        {
            foreach (var worker in _workers.Values)
            {
                if (Stays(worker) && !successors.ContainsKey(worker.Id))
                {
                    left.Add((worker, _scheduler.ProfileOfInstance(worker.Id)?.Clone() ?? LatencyProfile.Unmeasured(_parts.Options.MaxBatchSize)));
                }
            }
        }
        TakeInArrivals();
        return left;
    }

    // One that is to go gets no successor.
    private bool Stays(InstanceWorker<TIn, TOut> worker) => !worker.IsSuperseded && !_scheduler.IsDraining(worker.Id);

    private bool TrySwitch(
        IBatchRunnerFactory<TIn, TOut> next, Dictionary<int, (InstanceWorker<TIn, TOut> Worker, LatencyProfile Profile)> successors,
        [NotNullWhen(true)] out IReadOnlyList<InstanceWorker<TIn, TOut>>? superseded)
    {
        List<InstanceWorker<TIn, TOut>>? old = null;
        Tell(now =>
        {
            var serving = _workers.Values.Where(Stays).ToArray();
            if (_ended || serving.Any(w => !successors.ContainsKey(w.Id)))
            {
                return;
            }
            old = [];
            _factory = next;
            foreach (var worker in serving)
            {
                successors.Remove(worker.Id, out var successor);
                worker.IsSuperseded = true;
                old.Add(worker);
                Take(now, successor.Worker, successor.Profile);
                _scheduler.OnInstanceDraining(now, worker.Id);
            }
        });
        superseded = old;
        return old is not null;
    }
}
