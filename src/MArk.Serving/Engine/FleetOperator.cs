using System.Threading.Channels;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Engine;

/// <summary>
/// Carries out a fleet controller's commands with a real provider and real time. All events go through one channel to one loop; provider calls and
/// connections run beside it and come back as events.
/// </summary>
internal sealed class FleetOperator : IAsyncDisposable
{
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(1);
    private static readonly TimeSpan GivenUpFirst = TimeSpan.FromSeconds(1);

    private readonly FleetController _controller;
    private readonly IInstanceProvider _provider;
    private readonly IInstancePool _pool;
    private readonly FleetOptions _options;
    private readonly string _fleet;
    private readonly TimeProvider _time;
    private readonly Action<ServingException> _report;
    private readonly Action<PlanExplanation> _explain;
    private readonly Channel<Action<DateTimeOffset>> _events = Channel.CreateUnbounded<Action<DateTimeOffset>>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _calls = new();
    private readonly TaskCompletionSource _firstReady = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<ArrivalSample> _samples = [];
    private readonly List<OutcomeSample> _outcomes = [];
    private readonly RecurringEvent _sensing;
    private readonly RecurringEvent _planning;
    private readonly ITimer _sampleTimer;
    private readonly ITimer _planTimer;
    private readonly ITimer _wakeTimer;
    private readonly ITimer _saveTimer;
    private readonly HistoryKeeper? _history;
    private readonly LeaseKeeper? _lease;
    private volatile FleetStatus _status = new();
    private volatile bool _isAwaited;
    private int _listsWanted;
    private Task _loop = Task.CompletedTask;
    private Task _watch = Task.CompletedTask;
    private Task _training = Task.CompletedTask;        // set by the loop, and waited for after it

    public FleetOperator(
        FleetController controller, IInstanceProvider provider, IInstancePool pool, FleetOptions options, string fleet, TimeProvider time, Action<ServingException> report,
        Action<PlanExplanation> explain, HistoryKeeper? history = null, IFleetLease? lease = null)
    {
        _controller = controller;
        _provider = provider;
        _pool = pool;
        _options = options;
        _fleet = fleet;
        _time = time;
        _report = report;
        _explain = explain;
        _history = history;
        _lease = lease is null ? null
            : new LeaseKeeper(lease, fleet, options.LeaseDuration, time, until => Post(now => _controller.OnLease(now, until)), report);
        _sensing = new RecurringEvent(Post, Sense);
        _planning = new RecurringEvent(Post, Plan);
        _sampleTimer = OwnContext.CreateTimer(time, () => _sensing.TryPost());
        _planTimer = OwnContext.CreateTimer(time, OnPlanTimer);
        _wakeTimer = OwnContext.CreateTimer(time, () => Post(_controller.OnWakeUp));
        _saveTimer = OwnContext.CreateTimer(time, () => Post(Save));
    }

    /// <summary>Loads the history, adopts what there is, plans, and waits for the first instance, if there is to be one, as long as the settings allow.</summary>
    /// <exception cref="ServingException">The model cannot be loaded, warmed up or measured on the first instance.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        _loop = OwnContext.Run(LoopAsync);
        if (_history is not null)
        {
            var past = await _history.LoadAsync(cancellationToken).ConfigureAwait(false);
            // Before any slot of this run, and before the first plan.
            Post(now => _controller.OnHistory(now, past));
            _saveTimer.Change(_options.HistorySaveInterval, _options.HistorySaveInterval);
        }
        if (_lease is not null)
        {
            await _lease.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        await ListAsync(cancellationToken).ConfigureAwait(false);
        _watch = OwnContext.Run(WatchAsync);
        var slot = _options.SampleInterval.Ticks;
        var untilSlotEnds = new TimeSpan(slot - (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks % slot);
        // A timer rounds to milliseconds: a slot is taken when it has surely ended.
        _sampleTimer.Change(untilSlotEnds + TimeSpan.FromMilliseconds(2), _options.SampleInterval);
        // Where another host keeps the fleet, there may be no instance here for days.
        _isAwaited = !_options.DryRun && _options.MinInstances > 0 && _options.StartTimeout > TimeSpan.Zero && (_lease is null or { IsHeld: true });
        _planTimer.Change(TimeSpan.Zero, _options.PlanInterval);
        if (!_isAwaited)
        {
            return;
        }
        try
        {
            await _firstReady.Task.WaitAsync(_options.StartTimeout, _time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            _isAwaited = false;
            _report(new ServingException($"No instance of model '{_fleet}' was ready within Fleet:StartTimeout, {_options.StartTimeout}; the host starts without one."));
        }
    }

    /// <summary>Drains and ends every machine; ends those that do not drain in time, and reports what is left then. Saves the history.</summary>
    public async Task StopAsync(TimeSpan drainTimeout)
    {
        await _sampleTimer.DisposeAsync().ConfigureAwait(false);
        await _planTimer.DisposeAsync().ConfigureAwait(false);
        await _saveTimer.DisposeAsync().ConfigureAwait(false);
        Post(Sense);
        Post(_controller.OnStopping);
        if (!await _stopped.Task.EndsWithinAsync(drainTimeout, _time).ConfigureAwait(false))
        {
            Post(_controller.OnStopDeadline);
            if (!await _stopped.Task.EndsWithinAsync(EndTimeout, _time).ConfigureAwait(false))
            {
                _report(new ServingException($"Not every machine of fleet '{_fleet}' could be ended; look after: {string.Join(", ", _status.Machines)}."));
            }
        }
        try
        {
            await _calls.CancelAsync().ConfigureAwait(false);
        }
        catch (AggregateException e)
        {
            _report(new ServingException($"What the provider of fleet '{_fleet}' had registered with its token threw: {e.InnerExceptions[0].Message}", e));
        }
        _events.Writer.TryComplete();
        await _loop.ConfigureAwait(false);
        if (!await _watch.EndsWithinAsync(Grace, _time).ConfigureAwait(false))
        {
            _report(new ServingException($"The watch over fleet '{_fleet}' does not heed its token; it is left behind."));
        }
        if (!await _training.EndsWithinAsync(Grace, _time).ConfigureAwait(false))
        {
            _report(new ServingException($"The training of the predictor of fleet '{_fleet}' does not heed its token; it is left behind."));
        }
        await _wakeTimer.DisposeAsync().ConfigureAwait(false);
        if (_lease is not null)
        {
            // Not before the machines are ended: the next keeper would adopt them.
            await _lease.StopAsync().ConfigureAwait(false);
        }
        if (_history is not null)
        {
            await _history.StopAsync().ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _saveTimer.DisposeAsync().ConfigureAwait(false);
        await _sampleTimer.DisposeAsync().ConfigureAwait(false);
        await _planTimer.DisposeAsync().ConfigureAwait(false);
        await _wakeTimer.DisposeAsync().ConfigureAwait(false);
        if (_lease is not null)
        {
            await _lease.DisposeAsync().ConfigureAwait(false);
        }
        _calls.Dispose();
    }

    /// <summary>An instance that was to be drained runs nothing any more.</summary>
    public void OnDrained(string instanceId) => Post(now => _controller.OnDrained(now, instanceId));

    /// <summary>What the fleet was after the last event.</summary>
    public FleetStatus Status => _status;

    private void Post(Action<DateTimeOffset> what) => _events.Writer.TryWrite(what);

    private async Task LoopAsync()
    {
        await foreach (var what in _events.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            Guard(() => what(_time.GetUtcNow()));
            while (_controller.TryTakeCommand(out var command))
            {
                Guard(() => Execute(command));
            }
            Guard(() => _pool.ExpectCapacity(_controller.NextReadyAt));
            _status = new FleetStatus
            {
                Ready = _controller.Ready,
                Launching = _controller.Launching,
                Draining = _controller.Draining,
                Stopped = _controller.Stopped,
                ForecastPeak = _controller.Forecast.Peak[0],
                Explanation = _controller.Explanation,
                Machines = [.. _controller.Machines],
                IsKeeper = _controller.IsKeeper,
                Tally = _controller.Tally,
                HourlySpend = _controller.HourlySpend,
                RecentAttainment = _controller.RecentAttainment,
            };
            if (_controller.Ready > 0)
            {
                _firstReady.TrySetResult();
            }
            if (_controller.IsStopped)
            {
                _stopped.TrySetResult();
            }
        }
    }

    /// <summary>What goes wrong with one event, a provider's nonsense usually, must not end the loop.</summary>
    private void Guard(Action what)
    {
        try
        {
            what();
        }
        catch (Exception e)
        {
            _report(new ServingException($"An event of fleet '{_fleet}' from {_provider.GetType().Name} could not be handled, and is left out: {e.Message}", e));
        }
    }

    /// <summary>Each plan is made beside a list of what there is, so that news a watch has missed is made up for.</summary>
    private void OnPlanTimer()
    {
        if (_planning.TryPost())
        {
            _ = ListAgainAsync();
        }
    }

    private void Sense(DateTimeOffset now)
    {
        _pool.TakeSamples(now, _samples);
        foreach (var sample in _samples)
        {
            _controller.OnSample(now, sample);
            _history?.Add(sample);
        }
        _samples.Clear();
        _pool.TakeOutcomes(_outcomes);
        foreach (var outcome in _outcomes)
        {
            _controller.OnOutcomes(now, outcome);
        }
        _outcomes.Clear();
    }

    private void Save(DateTimeOffset now)
    {
        Sense(now);
        _ = _history!.SaveAsync();
    }

    private void Plan(DateTimeOffset now)
    {
        Sense(now);
        for (var i = 0; i < _provider.Offerings.Count; i++)
        {
            if (_pool.CapacityOf(i) is { IsMeasured: true } capacity)
            {
                _controller.OnCapacity(now, i, capacity);
            }
        }
        _controller.OnSpillover(now, _pool.Spillover());
        _controller.OnTick(now);
    }

    private void Execute(in FleetCommand command)
    {
        switch (command.Kind)
        {
            case FleetCommandKind.Launch:
                _ = LaunchAsync(command.Launch!, command.At);
                break;
            case FleetCommandKind.Connect:
                _ = ConnectAsync(command.Instance!, command.Offering);
                break;
            case FleetCommandKind.Drain:
                _pool.Drain(command.InstanceId!);
                break;
            case FleetCommandKind.Terminate:
                _ = TerminateAsync(command.InstanceId!);
                break;
            case FleetCommandKind.Lose:
                _pool.Lose(command.InstanceId!);
                break;
            case FleetCommandKind.Stop:
                _ = StopMachineAsync(command.InstanceId!, command.At);
                break;
            case FleetCommandKind.Start:
                _ = StartMachineAsync(command.InstanceId!, command.Offering, command.At);
                break;
            case FleetCommandKind.Prewarm:
                _ = PrewarmAsync(command.Concurrency);
                break;
            case FleetCommandKind.List:
                _ = ListAgainAsync();
                break;
            case FleetCommandKind.WakeAt:
                _wakeTimer.Change(Until(command.At), Timeout.InfiniteTimeSpan);
                break;
            case FleetCommandKind.Train:
                _training = TrainAsync(command.Training!);
                break;
            case FleetCommandKind.Explain:
                _explain(command.Explanation!);
                break;
            case FleetCommandKind.Fault:
                _report(command.Error!);
                break;
            default:
                throw new InvalidOperationException($"There is no way to carry out the fleet command {command.Kind}.");
        }
    }

    /// <summary>A timer rounds to milliseconds, and is to fire when the instant has surely come. It takes 49 days at most: one that fires too early is set again.</summary>
    private TimeSpan Until(DateTimeOffset at)
    {
        var due = at - _time.GetUtcNow();
        return due <= TimeSpan.Zero ? TimeSpan.Zero : due < LongestWait ? due + TimeSpan.FromMilliseconds(1) : LongestWait;
    }

    /// <summary>The controller gives up first what is called for too long, and then the call is cancelled: timers may fire early by what clocks differ.</summary>
    private ProviderCall CallUntil(DateTimeOffset giveUpAt) => new(Until(giveUpAt) + GivenUpFirst, _time, _calls.Token);

    private async Task LaunchAsync(LaunchRequest request, DateTimeOffset giveUpAt)
    {
        try
        {
            using var call = CallUntil(giveUpAt);
            var machine = await _provider.LaunchAsync(request, call.Token).ConfigureAwait(false);
            Post(now => _controller.OnLaunchAccepted(now, request.LaunchId, machine));
        }
        catch (Exception e)
        {
            var known = e as InstanceLaunchException ?? new InstanceLaunchException(request.OfferingName, LaunchFailure.Unknown, e.Message, e);
            Report(known);
            Post(now => _controller.OnLaunchFailed(now, request.LaunchId, known.Failure));
        }
    }

    private async Task ConnectAsync(InstanceDescriptor machine, int offering)
    {
        // Off the control loop: loading and measuring compute on the calling thread.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            await _pool.ConnectAsync(machine, offering, _calls.Token).ConfigureAwait(false);
            var capacity = _pool.CapacityOf(offering);
            Post(now =>
            {
                if (capacity.IsMeasured)
                {
                    _controller.OnCapacity(now, offering, capacity);
                }
                _controller.OnConnected(now, machine.Id);
            });
        }
        catch (Exception e)
        {
            var error = e as ServingException ?? new ServingException($"Model '{_fleet}' could not be connected on machine '{machine.Id}': {e.Message}", e);
            // One that is at fault itself says nothing of the others, which may serve.
            if (!_isAwaited || error is InstanceFailedException || !_firstReady.TrySetException(error))
            {
                Report(error);
            }
            Post(now => _controller.OnConnectFailed(now, machine.Id));
        }
    }

    private async Task PrewarmAsync(int concurrency)
    {
        try
        {
            await _pool.PrewarmAsync(concurrency, _calls.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Report(new ServingException($"The spillover of model '{_fleet}' could not be warmed up for {concurrency} requests at a time; those that spill start cold: {e.Message}", e));
        }
    }

    private async Task TerminateAsync(string instanceId)
    {
        try
        {
            await _provider.TerminateAsync(instanceId, _calls.Token).ConfigureAwait(false);
            Post(now => _controller.OnTerminated(now, instanceId));
        }
        catch (Exception e)
        {
            Report(new ServingException($"Machine '{instanceId}' of fleet '{_fleet}' could not be ended, and it costs on; it is tried again: {e.Message}", e));
            Post(now => _controller.OnTerminateFailed(now, instanceId));
        }
    }

    private IStandbyProvider Standby =>
        _provider as IStandbyProvider ?? throw new InvalidOperationException($"{_provider.GetType().Name} is no {nameof(IStandbyProvider)}.");

    private async Task StopMachineAsync(string instanceId, DateTimeOffset giveUpAt)
    {
        try
        {
            using var call = CallUntil(giveUpAt);
            await Standby.StopAsync(instanceId, call.Token).ConfigureAwait(false);
            Post(now => _controller.OnStopped(now, instanceId));
        }
        catch (Exception e)
        {
            Report(new ServingException($"Standby machine '{instanceId}' of fleet '{_fleet}' could not be stopped, and it costs its full price on; it is tried again: {e.Message}", e));
            Post(now => _controller.OnStopFailed(now, instanceId));
        }
    }

    private async Task StartMachineAsync(string instanceId, int offering, DateTimeOffset giveUpAt)
    {
        try
        {
            using var call = CallUntil(giveUpAt);
            await Standby.StartAsync(instanceId, call.Token).ConfigureAwait(false);
            Post(now => _controller.OnStarted(now, instanceId));
        }
        catch (Exception e)
        {
            var failure = (e as InstanceLaunchException)?.Failure ?? LaunchFailure.Unknown;
            Report(new ServingException($"Standby machine '{instanceId}' of offering '{_provider.Offerings[offering].Name}' could not be started ({failure}); another is, or it is tried again: {e.Message}", e));
            Post(now => _controller.OnStartFailed(now, instanceId, failure));
        }
    }

    /// <summary>Trains on a thread of its own, which does not keep the process from ending; what was learned is applied by the loop.</summary>
    private async Task TrainAsync(ITrainingJob job)
    {
        try
        {
            await Task.Factory.StartNew(() => job.Run(_calls.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
            Post(now => _controller.OnTrained(now, job));
        }
        catch (Exception e)
        {
            Post(now => _controller.OnTrainingFailed(now, job, e is OperationCanceledException && _calls.IsCancellationRequested ? null : e));
        }
    }

    private async Task ListAsync(CancellationToken cancellationToken)
    {
        var asked = _time.GetUtcNow();
        var listed = await _provider.ListAsync(_fleet, cancellationToken).ConfigureAwait(false);
        Post(now => _controller.OnListed(now, asked, listed));
    }

    /// <summary>Lists once more, after what is being listed now: one list at a time.</summary>
    private async Task ListAgainAsync()
    {
        if (Interlocked.Increment(ref _listsWanted) > 1)
        {
            return;
        }
        int wanted;
        do
        {
            wanted = Volatile.Read(ref _listsWanted);
            try
            {
                await ListAsync(_calls.Token).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                Report(new ServingException($"The machines of fleet '{_fleet}' could not be listed; it is tried again: {e.Message}", e));
            }
        }
        while (Interlocked.CompareExchange(ref _listsWanted, 0, wanted) != wanted);
    }

    /// <summary>Passes the provider's news on. A watch that breaks is begun again; what it misses, the next list tells.</summary>
    private async Task WatchAsync()
    {
        while (!_calls.IsCancellationRequested)
        {
            try
            {
                await foreach (var change in _provider.WatchAsync(_fleet, _calls.Token).ConfigureAwait(false))
                {
                    Post(now => _controller.OnInstanceChanged(now, change));
                }
                await Task.Delay(_options.SampleInterval, _time, _calls.Token).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                Report(new ServingException($"The watch over fleet '{_fleet}' broke; it is begun again: {e.Message}", e));
                await Task.Delay(_options.SampleInterval, _time, _calls.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>What fails because the host stops is no news.</summary>
    private void Report(ServingException error)
    {
        if (!_calls.IsCancellationRequested)
        {
            _report(error);
        }
    }
}

/// <summary>The token of a provider's call: cancelled when the call has taken too long, or with all others.</summary>
internal sealed class ProviderCall : IDisposable
{
    private readonly CancellationTokenSource _late;
    private readonly CancellationTokenSource _either;

    public ProviderCall(TimeSpan longest, TimeProvider time, CancellationToken all)
    {
        _late = new CancellationTokenSource(longest, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(_late.Token, all);
    }

    public CancellationToken Token => _either.Token;

    public void Dispose()
    {
        _either.Dispose();
        _late.Dispose();
    }
}

/// <summary>A fleet at an instant.</summary>
internal sealed record FleetStatus
{
    public int Ready { get; init; }

    public int Launching { get; init; }

    public int Draining { get; init; }

    public int Stopped { get; init; }

    public double ForecastPeak { get; init; }

    public PlanExplanation Explanation { get; init; } = PlanExplanation.None;

    public IReadOnlyList<string> Machines { get; init; } = [];

    public bool IsKeeper { get; init; }

    public FleetTally Tally { get; init; } = new();

    /// <summary>US dollars.</summary>
    public decimal HourlySpend { get; init; }

    public double RecentAttainment { get; init; } = 1;
}
