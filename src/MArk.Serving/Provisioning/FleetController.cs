using MArk.Serving.Prediction;
using MArk.Serving.Profiling;

namespace MArk.Serving.Provisioning;

/// <summary>
/// Keeps a model's fleet as planned: forecasts, plans, and reconciles what there is with what is wanted. A deterministic state machine:
/// samples, provider results and the present UTC instant in, commands out; driven by the live engine and by the simulator alike.
/// </summary>
internal sealed partial class FleetController
{
    private const int MaxEnded = 1024;

    private readonly BurstMeter _bursts = new();
    private readonly FleetSettings _settings;
    private readonly IReadOnlyList<InstanceOffering> _offerings;
    private readonly IWorkloadPredictor _predictor;
    private readonly IProvisioningPlanner _planner;
    private readonly CostLedger _ledger;
    private readonly RetryDelays _delays;
    private readonly LaunchHolds _holds;
    private readonly FleetTally _tally = new();
    private readonly List<FleetMachine> _machines = [];     // in order of launch
    private readonly CapacityCurve[] _curves;
    private readonly double[] _capacity;                    // of an instance, at the present load; NaN until measured
    private readonly ServicePoint?[] _service;
    private readonly TimeSpan[] _launchDelay;
    private readonly Queue<(DateTimeOffset At, int[] Wanted)> _wantedBefore = new();
    private readonly Queue<FleetCommand> _commands = new();
    private readonly FleetPlan _plan;
    private readonly Queue<string> _ended = new();          // so that late news of a machine that is gone does not bring it back
    private DateTimeOffset _wakeAt = DateTimeOffset.MaxValue;
    private SpilloverTerms? _spillover;
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
        _delays = new RetryDelays(settings.BackoffBase, settings.BackoffMax, settings.Seed);
        _holds = new LaunchHolds(offerings.Count, _delays);
        _spillover = settings.Spillover;
        _held = new int[offerings.Count];
        _dryLaunches = new int[offerings.Count];
        _monitor = settings.SloWindow > TimeSpan.Zero && planner.MayBeExceeded
            ? new SloMonitor(settings.ServiceLevel, settings.SloWindow, settings.SloWindow > settings.ScaleInCooldown ? settings.SloWindow : settings.ScaleInCooldown)
            : null;
        _curves = new CapacityCurve[offerings.Count];
        Array.Fill(_curves, CapacityCurve.Constant(double.NaN, null));
        _capacity = new double[offerings.Count];
        Array.Fill(_capacity, double.NaN);
        _service = new ServicePoint?[offerings.Count];
        _launchDelay = [.. offerings.Select(o => o.LaunchDelay)];
        _resumeDelay = [.. offerings.Select(o => o.ResumeDelay)];
        var indices = Enumerable.Range(0, offerings.Count).ToArray();
        _candidates = Array.FindAll(indices, i => offerings[i].Market != InstanceMarket.Standby);
        _standbys = Array.FindAll(indices, i => offerings[i].Market == InstanceMarket.Standby);
        ArgumentOutOfRangeException.ThrowIfZero(_candidates.Length);
        _plan = new FleetPlan(settings.Horizon, _candidates.Length);
        Forecast = new WorkloadForecast(settings.Horizon, settings.Step);
        IsKeeper = !settings.IsLeased;
        _leasedUntil = settings.IsLeased ? DateTimeOffset.MinValue : DateTimeOffset.MaxValue;
    }

    /// <summary>The last forecast.</summary>
    public WorkloadForecast Forecast { get; }

    /// <summary>What has happened so far.</summary>
    public FleetTally Tally => _tally.Copy() with { SloBreaks = _monitor?.Breaks ?? 0 };

    /// <summary>The share of the monitor's recent requests that were answered in time; 1 if there were none, or where it is turned off.</summary>
    public double RecentAttainment => _monitor?.Attainment ?? 1;

    /// <summary>What all machines together cost an hour, those included that drain, are being ended or may come, US dollars; a stopped one its stopped price.</summary>
    public decimal HourlySpend => _machines.Sum(SpendOf);

    /// <summary>Machines the provider has given, adopted ones included.</summary>
    public int Launched { get; private set; }

    /// <summary>Machines that are gone.</summary>
    public int Terminated { get; private set; }

    public int Ready => _machines.Count(m => m.State == FleetMachineState.Ready);

    public int Launching => _machines.Count(m => m.IsOnItsWay && !m.IsUnwanted);

    public int Draining => _machines.Count(m => m.State is FleetMachineState.Draining or FleetMachineState.Terminating or FleetMachineState.Stopping);

    /// <summary>The machines there are, by the provider's name for them, or by their launch where they have none yet.</summary>
    public IEnumerable<string> Machines => _machines.Select(m => m.InstanceId ?? m.LaunchId);

    /// <summary>Whether the fleet was stopped and nothing is left of it.</summary>
    public bool IsStopped => _stopping && _machines.Count == 0;

    /// <summary>When the first machine on its way is expected to serve; nothing if none is.</summary>
    public DateTimeOffset? NextReadyAt =>
        _machines.Where(m => m.IsComing || (m.StandsIn && m.ResumedAt is not null))
            .Select(m => m.ResumedAt is { } at ? at + _resumeDelay[m.Offering] : m.RequestedAt + _launchDelay[m.Offering])
            .Min(at => (DateTimeOffset?)at);

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
        _bursts.Observe(sample);
        try
        {
            _predictor.Observe(sample);
        }
        catch (Exception e)
        {
            Fault(_predictor, "threw from Observe.", e);
        }
        if (sample.Count > 0)
        {
            WakeFromZero(now);
        }
    }

    /// <summary>The rate an instance of an offering sustains with the objective kept was measured, or measured again.</summary>
    public void OnCapacity(DateTimeOffset now, int offering, double requestsPerSecond, ServicePoint? service = null) =>
        OnCapacity(now, offering, CapacityCurve.Constant(requestsPerSecond, service));

    /// <summary>The rate that an instance of an offering sustains with the objective kept, by how many there are, was measured, or measured again.</summary>
    public void OnCapacity(DateTimeOffset now, int offering, CapacityCurve curve)
    {
        var wasUnknown = _wantedBefore.Count > 0 && Unmeasured(now) is not null;
        _curves[offering] = curve;
        Count(offering);
        if (wasUnknown && Unmeasured(now) is null)
        {
            // Until now one was had for want of anything to plan with.
            MakeForecast(now);
            Replan(now);
        }
    }

    /// <summary>An instance of an offering counts for what it serves where the present load is served by as many as it needs.</summary>
    private void Count(int offering) => (_capacity[offering], _service[offering]) = _curves[offering].For(_hasForecast ? Forecast.Quantile(0)[0] : 0);

    /// <summary>What spilling costs from now on; nothing where none can be spilled in time.</summary>
    public void OnSpillover(DateTimeOffset now, SpilloverTerms? terms) => _spillover = terms;

    /// <summary>A control interval has passed: forecast, plan, reconcile.</summary>
    public void OnTick(DateTimeOffset now)
    {
        if (_stopping)
        {
            return;
        }
        if (!IsInCharge(now))
        {
            // So that it can follow at once.
            MakeForecast(now);
            Train();
            return;
        }
        if (_wantedBefore.Count == 0)
        {
            // What an earlier run has left was wanted until now: it is let go by the cool-down, not because this run has seen no load yet.
            Want(now, Active());
        }
        if (Unmeasured(now) is null)
        {
            MakeForecast(now);
        }
        WantPlanned(now);
        while (_wantedBefore.Count > 1 && _wantedBefore.Peek().At + _settings.ScaleInCooldown < now)
        {
            _wantedBefore.Dequeue();
        }
        Reconcile(now);
        CountBounds();
        Train();
    }

    public void OnWakeUp(DateTimeOffset now)
    {
        _wakeAt = DateTimeOffset.MaxValue;
        var keeps = Keeps(now);
        TakeBackOverdue(now);
        if (!keeps)
        {
            SayWhenToWake(now);
            return;
        }
        foreach (var machine in _machines.ToArray())
        {
            if (machine.RetryAt <= now)
            {
                TryAgain(now, machine);
            }
        }
        GiveUpOverdue(now);
        if (!_stopping)
        {
            if (_holds.AnyEnded(_plannedAt, now))
            {
                // What was held back is a candidate again.
                WantPlanned(now);
            }
            Reconcile(now);
        }
        SayWhenToWake(now);
    }

    private void TryAgain(DateTimeOffset now, FleetMachine machine)
    {
        machine.RetryAt = null;
        if (machine.State == FleetMachineState.Terminating)
        {
            _commands.Enqueue(new FleetCommand(FleetCommandKind.Terminate) { InstanceId = machine.InstanceId });
        }
        else if (machine.State == FleetMachineState.Stopping)
        {
            if (_missing > 0)
            {
                // Whether it has stopped is not known: starting one that runs does no harm.
                Start(now, machine);
            }
            else
            {
                Stop(now, machine);
            }
        }
        // One that could not be started is started as the fleet is reconciled, if it is needed still.
    }

    /// <summary>The fleet is given up: every machine is drained and ended, and nothing is launched any more.</summary>
    public void OnStopping(DateTimeOffset now)
    {
        _stopping = true;
        if (!Keeps(now))
        {
            return;
        }
        if (_settings.IsDryRun)
        {
            // They are somebody else's.
            _machines.Clear();
        }
        foreach (var machine in _machines.ToArray())
        {
            LetGo(machine);
        }
        if (_machines.Exists(m => m.State == FleetMachineState.InDoubt))
        {
            _commands.Enqueue(new FleetCommand(FleetCommandKind.List));
        }
    }

    /// <summary>The time to finish is over: what has a name is ended, whatever it still does; what another host keeps is left to it.</summary>
    public void OnStopDeadline(DateTimeOffset now)
    {
        _stopping = true;
        Keeps(now);
        foreach (var machine in _machines.ToArray())
        {
            if (machine.IsHandedOver)
            {
                PartWith(machine);
            }
            else if (machine.InstanceId is not null && machine.State != FleetMachineState.Terminating)
            {
                LoseIfConnected(machine);
                Terminate(machine);
            }
        }
    }

    /// <summary>The earliest instant at which something is to be tried again or given up, if it is earlier than what was said last.</summary>
    private void SayWhenToWake(DateTimeOffset now)
    {
        var earliest = _stopping || !IsKeeper ? DateTimeOffset.MaxValue : _holds.NextEnd(now);
        earliest = IsKeeper && _leasedUntil < earliest ? _leasedUntil : earliest;
        earliest = !_stopping && _missing > 0 && _standsInUntil > now && _standsInUntil < earliest ? _standsInUntil : earliest;
        foreach (var machine in _machines)
        {
            earliest = machine.RetryAt < earliest ? machine.RetryAt.Value : earliest;
            earliest = ReadyBy(machine) is var by && by < earliest ? by : earliest;
            earliest = TakenBackAt(machine) is var back && back < earliest ? back : earliest;
        }
        // A bound that follows from a measured delay may have shrunk meanwhile.
        earliest = earliest > now ? earliest : now;
        if (earliest < _wakeAt)
        {
            _wakeAt = earliest;
            _commands.Enqueue(new FleetCommand(FleetCommandKind.WakeAt) { At = earliest });
        }
    }

    private decimal SpendOf(FleetMachine machine) =>
        machine.CostsStopped ? _offerings[machine.Offering].StoppedPricePerHour : _offerings[machine.Offering].PricePerHour;

    private void Fault(object part, string message, Exception? inner = null) => Fault(new ContractViolationException(part.GetType().Name, message, inner));

    private void Fault(ServingException error) => _commands.Enqueue(new FleetCommand(FleetCommandKind.Fault) { Error = error });
}
