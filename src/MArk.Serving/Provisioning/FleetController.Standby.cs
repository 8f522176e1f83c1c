namespace MArk.Serving.Provisioning;

// Machines that are kept stopped, and stand in for others until those are replaced.
internal sealed partial class FleetController
{
    private readonly int[] _candidates;         // the offerings that are planned: all that are not for standby machines
    private readonly int[] _standbys;           // the others
    private readonly TimeSpan[] _resumeDelay;
    private double _missing;                    // the capacity that standby machines are to stand in for, requests per second; 0 where none is to
    private DateTimeOffset _standsInUntil;

    /// <summary>Machines that are kept stopped.</summary>
    public int Stopped => _machines.Count(m => m.State == FleetMachineState.Stopped);

    /// <summary>The most instances that are planned.</summary>
    private int MaxPlanned => _settings.MaxInstances - _settings.StandbyInstances;

    /// <summary>A stopped machine is being started.</summary>
    public void OnStarted(DateTimeOffset now, string instanceId)
    {
        if (Find(instanceId) is not { IsHandedOver: false } machine)
        {
            return;
        }
        Bill(now, machine, isStopped: false);
        if (machine.State == FleetMachineState.Starting)
        {
            machine.SettledAt = now;
            machine.CallFailures = 0;
        }
        OnStartEnded(now, machine);
    }

    /// <summary>A stopped machine could not be started: another is, and this one is tried again later.</summary>
    public void OnStartFailed(DateTimeOffset now, string instanceId, LaunchFailure failure)
    {
        if (Find(instanceId) is not { IsHandedOver: false } machine)
        {
            return;
        }
        if (machine.State != FleetMachineState.Starting)
        {
            OnStartEnded(now, machine);
            return;
        }
        machine.IsBeingCalled = false;
        machine.ResumedAt = null;
        if (failure == LaunchFailure.Misconfigured)
        {
            Fault(new InstanceLaunchException(_offerings[machine.Offering].Name, failure, $"machine '{instanceId}' cannot be started; it is ended, and no other is launched."));
            Terminate(machine);
        }
        else
        {
            machine.State = FleetMachineState.Stopped;
            // One that may have started all the same costs its full price until a list tells.
            machine.CostsStopped = failure != LaunchFailure.Unknown;
            machine.RetryAt = now + _delays.After(machine.CallFailures++);
        }
        CountFailure(now, machine.Offering, failure);
        Reconcile(now);
    }

    /// <summary>What had to wait for the end of a call that started a machine is done.</summary>
    private void OnStartEnded(DateTimeOffset now, FleetMachine machine)
    {
        machine.IsBeingCalled = false;
        if (machine.State == FleetMachineState.Stopping)
        {
            Stop(machine);
        }
        else if (machine.State == FleetMachineState.Stopped && _missing > 0)
        {
            Reconcile(now);
        }
    }

    /// <summary>A machine has stopped, and costs its stopped price.</summary>
    public void OnStopped(DateTimeOffset now, string instanceId)
    {
        if (Find(instanceId) is not { IsHandedOver: false } machine)
        {
            return;
        }
        machine.IsBeingCalled = false;
        Bill(now, machine, isStopped: true);
        if (machine.State != FleetMachineState.Stopping)
        {
            return;
        }
        machine.State = FleetMachineState.Stopped;
        machine.SettledAt = now;
        machine.CallFailures = 0;
        if (_missing > 0)
        {
            Reconcile(now);
        }
    }

    public void OnStopFailed(DateTimeOffset now, string instanceId)
    {
        if (Find(instanceId) is { State: FleetMachineState.Stopping } machine)
        {
            machine.IsBeingCalled = false;
            machine.RetryAt = now + _delays.After(machine.CallFailures++);
            SayWhenToWake(now);
        }
    }

    /// <summary>A machine does not run though it was not asked to stop, or was by an earlier run.</summary>
    private void OnSeenStopped(DateTimeOffset now, FleetMachine machine)
    {
        if (machine.State is FleetMachineState.Stopping or FleetMachineState.Stopped or FleetMachineState.Starting or FleetMachineState.Terminating)
        {
            return;
        }
        var served = ServedBy(machine);
        LoseIfConnected(machine);
        machine.State = FleetMachineState.Stopped;
        machine.SettledAt = now;
        machine.ResumedAt = null;
        if (!_settings.IsDryRun && (_stopping || machine.IsUnwanted || !machine.IsStandby))
        {
            // One that was bought to run is of no use stopped.
            machine.IsUnwanted = true;
            Terminate(machine);
        }
        if (served > 0 || _missing > 0)
        {
            MakeUpFor(now, served);
        }
    }

    /// <summary>A machine runs: the model is loaded on it, unless it is one that was to be stopped.</summary>
    private void OnSeenRunning(DateTimeOffset now, FleetMachine machine, InstanceDescriptor descriptor)
    {
        switch (machine.State)
        {
            case FleetMachineState.Pending or FleetMachineState.Starting:
                Connect(now, machine, descriptor);
                break;
            case FleetMachineState.Stopped when _missing > 0 || _settings.IsDryRun:
                // A call to start it that failed may have taken effect all the same.
                machine.AwaitedFrom = now;
                Connect(now, machine, descriptor);
                break;
            case FleetMachineState.Stopped:
                machine.Running = descriptor;
                Stop(machine);
                break;
            default:
                // It does already, or is on its way out.
                break;
        }
    }

    private void Bill(DateTimeOffset now, FleetMachine machine, bool isStopped)
    {
        machine.CostsStopped = isStopped && !machine.IsBeingCalled;
        if (isStopped)
        {
            _ledger.OnStopped(machine.InstanceId!, now);
        }
        else
        {
            _ledger.OnStarted(machine.InstanceId!, now);
        }
    }

    private void Connect(DateTimeOffset now, FleetMachine machine, InstanceDescriptor descriptor)
    {
        machine.State = FleetMachineState.Connecting;
        machine.Running = descriptor;
        machine.SettledAt = now;
        machine.RetryAt = null;
        _commands.Enqueue(new FleetCommand(FleetCommandKind.Connect) { Instance = descriptor, InstanceId = descriptor.Id, Offering = machine.Offering });
    }

    /// <summary>One that runs and was to be stopped serves again instead, or is stopped.</summary>
    private void StopUnlessNeeded(DateTimeOffset now, FleetMachine machine)
    {
        if (_missing > 0 && machine.Running is { } running)
        {
            machine.AwaitedFrom = now;
            Connect(now, machine, running);
            SayWhenToWake(now);
        }
        else
        {
            Stop(machine);
        }
    }

    private void Stop(FleetMachine machine)
    {
        machine.State = FleetMachineState.Stopping;
        machine.RetryAt = null;
        if (!machine.IsBeingCalled)
        {
            machine.IsBeingCalled = true;
            _commands.Enqueue(new FleetCommand(FleetCommandKind.Stop) { InstanceId = machine.InstanceId });
        }
    }

    private void Start(DateTimeOffset now, FleetMachine machine)
    {
        machine.State = FleetMachineState.Starting;
        machine.AwaitedFrom = now;
        machine.ResumedAt = now;
        machine.IsBeingCalled = true;
        machine.CostsStopped = false;
        _tally.Resumptions++;
        _commands.Enqueue(new FleetCommand(FleetCommandKind.Start) { InstanceId = machine.InstanceId, Offering = machine.Offering, At = ReadyBy(machine) });
    }

    /// <summary>So much is to be stood in for, requests per second, from now on.</summary>
    private void StandIn(DateTimeOffset now, double missing)
    {
        if (missing > 0 && _standbys.Length > 0)
        {
            _missing = Math.Max(_missing, missing);
            _standsInUntil = now + _settings.ScaleInCooldown;
        }
    }

    /// <summary>Keeps the pool as it is set, and has its machines serve or not.</summary>
    private void ReconcileStandbys(DateTimeOffset now)
    {
        if (_standbys.Length == 0)
        {
            return;
        }
        if (_missing > 0 && Unserved() > 0)
        {
            _standsInUntil = now + _settings.ScaleInCooldown;
        }
        else if (now >= _standsInUntil && !IsHeld(now))
        {
            _missing = 0;
        }
        if (_missing > 0)
        {
            Resume(now);
        }
        else
        {
            StandDown();
        }
        KeepPool(now);
    }

    /// <summary>Starts as many stopped machines as stand in for what is missing; one that is not measured is taken to do for all of it.</summary>
    private void Resume(DateTimeOffset now)
    {
        if (_holds.IsThrottled(now))
        {
            return;
        }
        var capacity = CapacityOf(m => m.StandsIn);
        foreach (var machine in _machines)
        {
            if (capacity >= _missing)
            {
                return;
            }
            if (machine is not { State: FleetMachineState.Stopped, IsStandby: true, IsBeingCalled: false, RetryAt: null } || _capacity[machine.Offering] == 0 || !HasBudgetToStart(machine))
            {
                continue;
            }
            capacity += double.IsNaN(_capacity[machine.Offering]) ? double.PositiveInfinity : _capacity[machine.Offering];
            Note(PlanActionKind.Start, machine.Offering);
            if (!_settings.IsDryRun)
            {
                Start(now, machine);
            }
        }
    }

    private bool HasBudgetToStart(FleetMachine machine)
    {
        var offering = _offerings[machine.Offering];
        var spend = SpendWithMore(offering.PricePerHour - offering.StoppedPricePerHour);
        if (!(spend > _settings.MaxHourlySpend))
        {
            return true;
        }
        Refuse(PlanBoundKind.HourlySpend, FormattableString.Invariant($"MaxHourlySpend {_settings.MaxHourlySpend} dollars: refused to start {offering.Name}, {spend} dollars an hour with it"));
        return false;
    }

    private void StandDown()
    {
        foreach (var machine in _machines)
        {
            StandDownIfReady(machine);
        }
    }

    /// <summary>What it has is finished before it is stopped.</summary>
    private void StandDownIfReady(FleetMachine machine)
    {
        if (_settings.IsDryRun || machine is not { IsStandby: true, IsUnwanted: false, State: FleetMachineState.Ready })
        {
            return;
        }
        machine.State = FleetMachineState.Draining;
        Note(PlanActionKind.Stop, machine.Offering);
        _commands.Enqueue(new FleetCommand(FleetCommandKind.Drain) { InstanceId = machine.InstanceId });
    }

    /// <summary>Launches what the pool lacks. One in doubt may come, and there is no hurry: it counts until it is known.</summary>
    private void KeepPool(DateTimeOffset now)
    {
        var had = _machines.Count(m => m.IsStandby && !m.IsUnwanted && m.State != FleetMachineState.Terminating) + _standbys.Sum(i => _dryLaunches[i]);
        while (had < _settings.StandbyInstances && TryLaunchStandby(now))
        {
            had++;
        }
        for (; had > _settings.StandbyInstances && _missing == 0; had--)
        {
            if (_machines.FindLast(m => m.IsStandby && !m.IsUnwanted && m.State != FleetMachineState.Terminating) is not { } machine)
            {
                break;
            }
            Note(PlanActionKind.LetGo, machine.Offering);
            LetGo(machine);
        }
    }

    /// <summary>One of the offering that is resumed most quickly, of equal ones the cheapest to keep.</summary>
    private bool TryLaunchStandby(DateTimeOffset now)
    {
        var able = Array.FindAll(_standbys, i => _capacity[i] != 0 && CanLaunch(now, i) && IsWithinBudget(i));
        if (able.Length == 0)
        {
            // Where it is the budget that forbids, that is said.
            _ = Array.Exists(_standbys, i => _capacity[i] != 0 && CanLaunch(now, i) && IsPastBudget(i));
            return false;
        }
        return TryLaunch(now, able.MinBy(i => (_offerings[i].ResumeDelay, _offerings[i].StoppedPricePerHour)));
    }

    /// <summary>What one of an offering counts for where capacities are compared; one that is not measured counts as little.</summary>
    private double CountedCapacity(int offering) => double.IsNaN(_capacity[offering]) ? 1 : _capacity[offering];

    /// <summary>What the plan's machines serve, requests per second.</summary>
    private double ReadyCapacity() => _machines.Where(m => m.IsActive && m.State == FleetMachineState.Ready).Sum(m => CountedCapacity(m.Offering));

    /// <summary>What the plan's machines are short of the plan, requests per second; 0 if they serve it.</summary>
    private double Unserved()
    {
        if (_wantedBefore.Count == 0)
        {
            return 0;
        }
        var wanted = _wantedBefore.Last().Wanted;
        var planned = _candidates.Sum(i => Math.Min(wanted[i], _offerings[i].MaxInstances) * CountedCapacity(i));
        var missing = planned - ReadyCapacity();
        // Sums of the same numbers in another order may differ.
        return missing > 1e-9 * planned ? missing : 0;
    }
}
