namespace MArk.Serving.Provisioning;

// Machines that are kept stopped: what becomes of them, and of the calls that stop and start them.
internal sealed partial class FleetController
{
    // Stopping takes a provider minutes at most.
    private static readonly TimeSpan StopTimeout = TimeSpan.FromMinutes(10);

    private readonly int[] _candidates;         // the offerings that are planned: all that are not for standby machines
    private readonly int[] _standbys;           // the others
    private readonly TimeSpan[] _resumeDelay;

    /// <summary>Machines that are kept stopped.</summary>
    public int Stopped => _machines.Count(m => m.State == FleetMachineState.Stopped);

    /// <summary>The most instances that are planned.</summary>
    private int MaxPlanned => _settings.MaxInstances - _settings.StandbyInstances;

    /// <summary>A stopped machine is being started.</summary>
    public void OnStarted(DateTimeOffset now, string instanceId)
    {
        Keeps(now);
        if (Find(instanceId) is not { IsHandedOver: false } machine)
        {
            return;
        }
        Bill(now, machine, isStopped: false);
        if (machine.State == FleetMachineState.Starting)
        {
            machine.SettledAt = now;
            machine.CallFailures = 0;
            _tally.Resumptions++;
        }
        OnStartEnded(now, machine);
    }

    /// <summary>A stopped machine could not be started: another is, and this one is tried again later.</summary>
    public void OnStartFailed(DateTimeOffset now, string instanceId, LaunchFailure failure)
    {
        Keeps(now);
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
            // One that may have started all the same, or never stopped, costs its full price until a list tells.
            machine.CostsStopped = machine.IsBilledStopped && failure != LaunchFailure.Unknown;
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
            Stop(now, machine);
        }
        else if (machine.State == FleetMachineState.Stopped && _missing > 0)
        {
            Reconcile(now);
        }
    }

    /// <summary>A machine has stopped, and costs its stopped price.</summary>
    public void OnStopped(DateTimeOffset now, string instanceId)
    {
        Keeps(now);
        if (Find(instanceId) is not { IsHandedOver: false } machine)
        {
            return;
        }
        machine.IsBeingCalled = false;
        Bill(now, machine, isStopped: true);
        if (machine.State is FleetMachineState.Stopping or FleetMachineState.Stopped)
        {
            HasStopped(now, machine);
        }
    }

    private void HasStopped(DateTimeOffset now, FleetMachine machine)
    {
        machine.State = FleetMachineState.Stopped;
        machine.SettledAt = now;
        machine.RetryAt = null;
        machine.CallFailures = 0;
        if (_missing > 0)
        {
            Reconcile(now);
        }
    }

    public void OnStopFailed(DateTimeOffset now, string instanceId)
    {
        Keeps(now);
        if (Find(instanceId) is not { IsHandedOver: false } machine)
        {
            return;
        }
        machine.IsBeingCalled = false;
        if (machine.State == FleetMachineState.Stopping)
        {
            machine.RetryAt = now + _delays.After(machine.CallFailures++);
            SayWhenToWake(now);
        }
        else if (machine.State == FleetMachineState.Stopped)
        {
            // It was seen that the call took effect.
            machine.CostsStopped = true;
            HasStopped(now, machine);
        }
    }

    /// <summary>A machine does not run though it was not asked to stop, or was by an earlier run.</summary>
    private void OnSeenStopped(DateTimeOffset now, FleetMachine machine)
    {
        if (machine.State is FleetMachineState.Stopped or FleetMachineState.Starting or FleetMachineState.Terminating)
        {
            return;
        }
        if (machine.State == FleetMachineState.Stopping)
        {
            // Whatever becomes of the call, which may never end.
            HasStopped(now, machine);
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
                Stop(now, machine);
                break;
            default:
                // It does already, or is on its way out.
                break;
        }
    }

    private void Bill(DateTimeOffset now, FleetMachine machine, bool isStopped)
    {
        machine.IsBilledStopped = isStopped;
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
            Stop(now, machine);
        }
    }

    private void Stop(DateTimeOffset now, FleetMachine machine)
    {
        machine.State = FleetMachineState.Stopping;
        machine.RetryAt = null;
        if (!machine.IsBeingCalled)
        {
            machine.IsBeingCalled = true;
            _commands.Enqueue(new FleetCommand(FleetCommandKind.Stop) { InstanceId = machine.InstanceId, At = now + StopTimeout });
        }
    }

    private void Start(DateTimeOffset now, FleetMachine machine)
    {
        machine.State = FleetMachineState.Starting;
        machine.AwaitedFrom = now;
        machine.ResumedAt = now;
        machine.IsBeingCalled = true;
        machine.CostsStopped = false;
        _commands.Enqueue(new FleetCommand(FleetCommandKind.Start) { InstanceId = machine.InstanceId, Offering = machine.Offering, At = ReadyBy(machine) });
    }
}
