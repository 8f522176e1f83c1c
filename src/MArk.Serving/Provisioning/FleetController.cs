using MArk.Serving.Prediction;

namespace MArk.Serving.Provisioning;

/// <summary>
/// Keeps a model's fleet as planned: forecasts, plans, and reconciles what there is with what is wanted. A deterministic state machine:
/// samples, provider results and the present UTC instant in, commands out; driven by the live engine and by the simulator alike.
/// </summary>
internal sealed partial class FleetController
{
    private const int MaxEnded = 1024;

    private readonly FleetSettings _settings;
    private readonly IReadOnlyList<InstanceOffering> _offerings;
    private readonly IWorkloadPredictor _predictor;
    private readonly IProvisioningPlanner _planner;
    private readonly CostLedger _ledger;
    private readonly Random _jitter;
    private readonly List<FleetMachine> _machines = [];     // in order of launch
    private readonly double[] _capacity;                    // NaN until measured
    private readonly ServicePoint?[] _service;
    private readonly TimeSpan[] _launchDelay;
    private readonly int[] _launchFailures;
    private readonly DateTimeOffset?[] _launchNotBefore;
    private readonly bool[] _isStopped;                     // offerings that are misconfigured
    private readonly Queue<(DateTimeOffset At, int[] Wanted)> _wantedBefore = new();
    private readonly Queue<FleetCommand> _commands = new();
    private readonly FleetPlan _plan;
    private readonly List<PlanBound> _refused = [];         // what reconciling did not do of the plan
    private readonly Queue<string> _ended = new();          // so that late news of a machine that is gone does not bring it back
    private DateTimeOffset _wakeAt = DateTimeOffset.MaxValue;
    private double? _spilloverPrice;
    private int _nextLaunch;
    private ITrainingJob? _training;                        // the one that is being run
    private bool _stopping;

    public FleetController(
        FleetSettings settings, IReadOnlyList<InstanceOffering> offerings, IWorkloadPredictor predictor, IProvisioningPlanner planner, CostLedger ledger)
    {
        ArgumentOutOfRangeException.ThrowIfZero(offerings.Count);
        _settings = settings;
        _offerings = offerings;
        _predictor = predictor;
        _planner = planner;
        _ledger = ledger;
        _jitter = new Random(settings.Seed);
        _spilloverPrice = settings.SpilloverPricePerRequest;
        _capacity = new double[offerings.Count];
        Array.Fill(_capacity, double.NaN);
        _service = new ServicePoint?[offerings.Count];
        _launchDelay = [.. offerings.Select(o => o.LaunchDelay)];
        _launchFailures = new int[offerings.Count];
        _launchNotBefore = new DateTimeOffset?[offerings.Count];
        _isStopped = new bool[offerings.Count];
        _plan = new FleetPlan(settings.Horizon, offerings.Count);
        Forecast = new WorkloadForecast(settings.Horizon, settings.Step);
    }

    /// <summary>The last forecast.</summary>
    public WorkloadForecast Forecast { get; }

    /// <summary>Why the last plan was as it was.</summary>
    public PlanExplanation Explanation { get; private set; } = PlanExplanation.None;

    /// <summary>Machines the provider has given, adopted ones included.</summary>
    public int Launched { get; private set; }

    /// <summary>Machines that are gone.</summary>
    public int Terminated { get; private set; }

    public int Ready => _machines.Count(m => m.State == FleetMachineState.Ready);

    public int Launching => _machines.Count(m => m.IsComing);

    public int Draining => _machines.Count(m => m.State is FleetMachineState.Draining or FleetMachineState.Terminating);

    /// <summary>The machines there are, by the provider's name for them, or by their launch where they have none yet.</summary>
    public IEnumerable<string> Machines => _machines.Select(m => m.InstanceId ?? m.LaunchId);

    /// <summary>Whether the fleet was stopped and nothing is left of it.</summary>
    public bool IsStopped => _stopping && _machines.Count == 0;

    /// <summary>When the first machine on its way is expected to serve; nothing if none is.</summary>
    public DateTimeOffset? NextReadyAt => _machines.Where(m => m.IsComing).Select(m => (DateTimeOffset?)(m.RequestedAt + _launchDelay[m.Offering])).Min();

    public bool TryTakeCommand(out FleetCommand command) => _commands.TryDequeue(out command);

    /// <summary>What was counted in earlier runs, ascending, before any slot of this one: the predictor begins with it.</summary>
    public void OnHistory(DateTimeOffset now, IReadOnlyList<ArrivalSample> past)
    {
        try
        {
            _predictor.ObserveHistory(past);
        }
        catch (Exception e)
        {
            Fault(_predictor, "threw from Observe, and is not told the rest of the history.", e);
        }
    }

    public void OnSample(DateTimeOffset now, in ArrivalSample sample)
    {
        try
        {
            _predictor.Observe(sample);
        }
        catch (Exception e)
        {
            Fault(_predictor, "threw from Observe.", e);
        }
    }

    /// <summary>The rate an instance of an offering sustains with the objective kept was measured, or measured again.</summary>
    public void OnCapacity(DateTimeOffset now, int offering, double requestsPerSecond, ServicePoint? service = null) =>
        (_capacity[offering], _service[offering]) = (requestsPerSecond, service);

    /// <summary>What a spilled request costs from now on, US dollars; nothing where none can be spilled in time.</summary>
    public void OnSpilloverPrice(DateTimeOffset now, double? dollars) => _spilloverPrice = dollars;

    /// <summary>A control interval has passed: forecast, plan, reconcile.</summary>
    public void OnTick(DateTimeOffset now)
    {
        if (_stopping)
        {
            return;
        }
        if (TryPlan(now) is { } wanted)
        {
            _wantedBefore.Enqueue((now, wanted));
        }
        while (_wantedBefore.Count > 1 && _wantedBefore.Peek().At + _settings.ScaleInCooldown < now)
        {
            _wantedBefore.Dequeue();
        }
        Reconcile(now);
        Train();
    }

    /// <summary>A training has ended well: the predictor forecasts by what was learned from now on.</summary>
    public void OnTrained(DateTimeOffset now, ITrainingJob job)
    {
        if (job != _training)
        {
            return;
        }
        _training = null;
        try
        {
            job.Apply();
        }
        catch (Exception e)
        {
            // Another is asked for with the next control interval, not at once.
            Fault(job, "threw from Apply; the predictor goes on with what it learned before.", e);
            return;
        }
        Train();
    }

    /// <summary>A training has come to nothing: the predictor goes on with what it learned before, and is asked again with the next control interval.</summary>
    /// <param name="now">Now.</param>
    /// <param name="job">The training.</param>
    /// <param name="error">Why; nothing if it was cancelled.</param>
    public void OnTrainingFailed(DateTimeOffset now, ITrainingJob job, Exception? error)
    {
        if (job != _training)
        {
            return;
        }
        _training = null;
        if (error is not null)
        {
            Fault(new ServingException(
                $"A training of {_predictor.GetType().Name} for fleet '{_settings.Fleet}' failed; the forecast goes on with what was learned before, and it is tried again when one is due: {error.Message}", error));
        }
    }

    public void OnWakeUp(DateTimeOffset now)
    {
        _wakeAt = DateTimeOffset.MaxValue;
        foreach (var machine in _machines.ToArray())
        {
            if (machine.RetryAt <= now)
            {
                machine.RetryAt = null;
                _commands.Enqueue(new FleetCommand(FleetCommandKind.Terminate) { InstanceId = machine.InstanceId });
            }
        }
        if (!_stopping)
        {
            Reconcile(now);
        }
        SayWhenToWake(now);
    }

    /// <summary>What the provider lists of the fleet: unknown machines are adopted, and known ones it does not list are lost.</summary>
    /// <param name="now">Now.</param>
    /// <param name="asOf">When the list was asked for: a machine that was named later is not missed.</param>
    /// <param name="listed">The machines.</param>
    public void OnListed(DateTimeOffset now, DateTimeOffset asOf, IReadOnlyList<InstanceDescriptor> listed)
    {
        foreach (var descriptor in listed)
        {
            OnInstanceChanged(now, descriptor);
        }
        foreach (var machine in _machines.Where(m => m.InstanceId is not null && m.AcceptedAt < asOf && !listed.Any(d => d.Id == m.InstanceId)).ToArray())
        {
            // A list may miss a machine that lives, so it is ended, which does no harm to one that is gone.
            if (machine.State != FleetMachineState.Terminating)
            {
                LoseIfConnected(machine);
                Terminate(machine);
            }
        }
    }

    public void OnLaunchAccepted(DateTimeOffset now, string launchId, InstanceDescriptor descriptor)
    {
        if (_machines.Find(m => m.LaunchId == launchId) is { } machine)
        {
            OnInstanceChanged(now, descriptor with { LaunchId = launchId });
        }
    }

    public void OnLaunchFailed(DateTimeOffset now, string launchId, LaunchFailure failure)
    {
        // A call may fail and its machine come all the same: one that was named meanwhile stays.
        if (_machines.Find(m => m.LaunchId == launchId) is not { InstanceId: null } machine)
        {
            return;
        }
        _machines.Remove(machine);
        if (failure == LaunchFailure.Misconfigured)
        {
            _isStopped[machine.Offering] = true;
            var name = _offerings[machine.Offering].Name;
            Fault(new InstanceLaunchException(name, failure, "it is not launched any more."));
            return;
        }
        HoldLaunches(now, machine.Offering);
    }

    /// <summary>A machine is as described: known ones change, unknown ones are adopted.</summary>
    public void OnInstanceChanged(DateTimeOffset now, InstanceDescriptor descriptor)
    {
        var machine = _machines.Find(m => m.InstanceId == descriptor.Id || (m.InstanceId is null && m.LaunchId == descriptor.LaunchId));
        if (machine is null)
        {
            if (descriptor.State == InstanceState.Terminated || _ended.Contains(descriptor.Id))
            {
                return;
            }
            if (IndexOf(descriptor.OfferingName) is not { } offering)
            {
                var names = string.Join(", ", _offerings.Select(o => o.Name));
                Fault(new ServingException($"Machine '{descriptor.Id}' of fleet '{_settings.Fleet}' is of offering '{descriptor.OfferingName}', which is not configured; it is left alone. There are: {names}."));
                return;
            }
            _machines.Add(machine = new FleetMachine(descriptor.LaunchId, offering, now) { IsAdopted = true });
        }
        if (machine.InstanceId is null)
        {
            machine.InstanceId = descriptor.Id;
            machine.AcceptedAt = now;
            machine.State = FleetMachineState.Pending;
            Launched++;
            _ledger.OnLaunched(descriptor.Id, _offerings[machine.Offering], descriptor.BilledFrom == default ? now : descriptor.BilledFrom);
        }
        if (descriptor.State == InstanceState.Terminated)
        {
            Lose(now, machine);
        }
        else if (machine.IsUnwanted || _stopping || descriptor.State == InstanceState.Interrupting)
        {
            machine.IsInterrupted |= descriptor.State == InstanceState.Interrupting;
            LetGo(machine);
        }
        else if (descriptor.State == InstanceState.Running && machine.State == FleetMachineState.Pending)
        {
            machine.State = FleetMachineState.Connecting;
            _commands.Enqueue(new FleetCommand(FleetCommandKind.Connect) { Instance = descriptor, InstanceId = descriptor.Id, Offering = machine.Offering });
        }
    }

    /// <summary>The model is loaded and warm on a machine: it serves.</summary>
    public void OnConnected(DateTimeOffset now, string instanceId)
    {
        if (Find(instanceId) is not { State: FleetMachineState.Connecting } machine)
        {
            // It went while the model was loaded on it.
            _commands.Enqueue(new FleetCommand(FleetCommandKind.Lose) { InstanceId = instanceId });
            return;
        }
        machine.State = FleetMachineState.Ready;
        _launchFailures[machine.Offering] = 0;
        // What was declared gives way to what is measured; half the weight to each new launch.
        if (!machine.IsAdopted)
        {
            _launchDelay[machine.Offering] = (_launchDelay[machine.Offering] + (now - machine.RequestedAt)) / 2;
        }
        if (machine.IsUnwanted || _stopping)
        {
            LetGo(machine);
        }
    }

    public void OnConnectFailed(DateTimeOffset now, string instanceId)
    {
        if (Find(instanceId) is { State: FleetMachineState.Connecting } machine)
        {
            HoldLaunches(now, machine.Offering);
            Terminate(machine);
        }
    }

    /// <summary>A draining machine runs nothing any more.</summary>
    public void OnDrained(DateTimeOffset now, string instanceId)
    {
        if (Find(instanceId) is { State: FleetMachineState.Draining } machine)
        {
            Terminate(machine);
        }
    }

    public void OnTerminated(DateTimeOffset now, string instanceId)
    {
        if (Find(instanceId) is { } machine)
        {
            Forget(now, machine);
        }
    }

    public void OnTerminateFailed(DateTimeOffset now, string instanceId)
    {
        if (Find(instanceId) is { State: FleetMachineState.Terminating } machine)
        {
            machine.RetryAt = now + Backoff(machine.TerminateFailures++);
            SayWhenToWake(now);
        }
    }

    /// <summary>The fleet is given up: every machine is drained and ended, and nothing is launched any more.</summary>
    public void OnStopping(DateTimeOffset now)
    {
        _stopping = true;
        foreach (var machine in _machines.ToArray())
        {
            LetGo(machine);
        }
    }

    /// <summary>The time to finish is over: what has a name is ended, whatever it still does.</summary>
    public void OnStopDeadline(DateTimeOffset now)
    {
        _stopping = true;
        foreach (var machine in _machines)
        {
            if (machine.InstanceId is not null && machine.State != FleetMachineState.Terminating)
            {
                LoseIfConnected(machine);
                Terminate(machine);
            }
        }
    }

    /// <summary>Has the training that is due run, one at a time.</summary>
    private void Train()
    {
        if (_stopping || _training is not null || _predictor is not ITrainable trainable)
        {
            return;
        }
        try
        {
            _training = trainable.TakeTrainingJob();
        }
        catch (Exception e)
        {
            Fault(_predictor, "threw from TakeTrainingJob.", e);
        }
        if (_training is not null)
        {
            _commands.Enqueue(new FleetCommand(FleetCommandKind.Train) { Training = _training });
        }
    }

    private int? IndexOf(string offeringName)
    {
        for (var i = 0; i < _offerings.Count; i++)
        {
            if (_offerings[i].Name == offeringName)
            {
                return i;
            }
        }
        return null;
    }

    private FleetMachine? Find(string instanceId) => _machines.Find(m => m.InstanceId == instanceId);

    private void Lose(DateTimeOffset now, FleetMachine machine)
    {
        LoseIfConnected(machine);
        Forget(now, machine);
    }

    private void LoseIfConnected(FleetMachine machine)
    {
        if (machine.State is FleetMachineState.Ready or FleetMachineState.Draining or FleetMachineState.Connecting)
        {
            _commands.Enqueue(new FleetCommand(FleetCommandKind.Lose) { InstanceId = machine.InstanceId });
        }
    }

    private void Forget(DateTimeOffset now, FleetMachine machine)
    {
        _machines.Remove(machine);
        _ledger.OnTerminated(machine.InstanceId!, now);
        Terminated++;
        _ended.Enqueue(machine.InstanceId!);
        if (_ended.Count > MaxEnded)
        {
            _ended.Dequeue();
        }
    }

    /// <summary>A machine that serves is drained first; one on its way is ended as soon as that is possible.</summary>
    private void LetGo(FleetMachine machine)
    {
        machine.IsUnwanted = true;
        switch (machine.State)
        {
            case FleetMachineState.Ready:
                machine.State = FleetMachineState.Draining;
                _commands.Enqueue(new FleetCommand(FleetCommandKind.Drain) { InstanceId = machine.InstanceId });
                break;
            case FleetMachineState.Pending:
                Terminate(machine);
                break;
            default:
                // Requested: ended once it is named. Connecting: drained once it is connected. Draining, terminating: on its way already.
                break;
        }
    }

    private void Terminate(FleetMachine machine)
    {
        machine.State = FleetMachineState.Terminating;
        _commands.Enqueue(new FleetCommand(FleetCommandKind.Terminate) { InstanceId = machine.InstanceId });
    }

    private void HoldLaunches(DateTimeOffset now, int offering)
    {
        _launchNotBefore[offering] = now + Backoff(_launchFailures[offering]++);
        SayWhenToWake(now);
    }

    /// <summary>The earliest instant at which something is to be tried again, if it is earlier than what was said last.</summary>
    private void SayWhenToWake(DateTimeOffset now)
    {
        var earliest = DateTimeOffset.MaxValue;
        foreach (var machine in _machines)
        {
            earliest = machine.RetryAt < earliest ? machine.RetryAt.Value : earliest;
        }
        foreach (var at in _launchNotBefore)
        {
            earliest = !_stopping && at > now && at < earliest ? at.Value : earliest;
        }
        if (earliest < _wakeAt)
        {
            _wakeAt = earliest;
            _commands.Enqueue(new FleetCommand(FleetCommandKind.WakeAt) { At = earliest });
        }
    }

    private TimeSpan Backoff(int failures)
    {
        var longest = Math.Min(_settings.BackoffMax.TotalSeconds, _settings.BackoffBase.TotalSeconds * Math.Pow(2, Math.Min(failures, 30)));
        return TimeSpan.FromSeconds(longest * (0.5 + 0.5 * _jitter.NextDouble()));
    }

    private void Fault(object part, string message, Exception? inner = null) => Fault(new ContractViolationException(part.GetType().Name, message, inner));

    private void Fault(ServingException error) => _commands.Enqueue(new FleetCommand(FleetCommandKind.Fault) { Error = error });
}
