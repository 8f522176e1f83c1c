namespace MArk.Serving.Provisioning;

// The life of each machine.
internal sealed partial class FleetController
{
    /// <summary>What the provider lists of the fleet: unknown machines are adopted, and known ones it does not list are lost.</summary>
    /// <param name="now">Now.</param>
    /// <param name="asOf">When the list was asked for: a machine that was named later is not missed.</param>
    /// <param name="listed">The machines.</param>
    public void OnListed(DateTimeOffset now, DateTimeOffset asOf, IReadOnlyList<InstanceDescriptor> listed)
    {
        Keeps(now);
        foreach (var descriptor in listed)
        {
            OnSeen(now, descriptor, asOf);
        }
        var (anyLost, served) = (false, 0.0);
        foreach (var machine in _machines.Where(m => m.InstanceId is not null && m.AcceptedAt < asOf && !listed.Any(d => d.Id == m.InstanceId)).ToArray())
        {
            if (machine.IsHandedOver)
            {
                PartWith(machine);
            }
            else if (_settings.IsDryRun)
            {
                Lose(now, machine);
            }
            else if (machine.State != FleetMachineState.Terminating)
            {
                (anyLost, served) = (true, served + ServedBy(machine));
                CountLoss(now, machine);
                // A list may miss a machine that lives, so it is ended, which does no harm to one that is gone.
                LoseIfConnected(machine);
                Terminate(machine);
            }
        }
        if (anyLost)
        {
            MakeUpFor(now, served);
        }
        if (_machines.RemoveAll(m => m.State == FleetMachineState.InDoubt && m.CallEndedAt <= asOf) > 0)
        {
            // They did not come.
            Reconcile(now);
        }
        if (_takesOver && asOf >= _keptFrom)
        {
            _takesOver = false;
            OnTick(now);
        }
    }

    /// <summary>A machine is as described: known ones change, unknown ones are adopted.</summary>
    public void OnInstanceChanged(DateTimeOffset now, InstanceDescriptor descriptor) => OnSeen(now, descriptor, now);

    /// <summary>A machine is as described, or was as its provider was asked.</summary>
    private void OnSeen(DateTimeOffset now, InstanceDescriptor descriptor, DateTimeOffset asOf)
    {
        if (_settings.IsDryRun && _stopping)
        {
            return;
        }
        var keeps = Keeps(now);
        var machine = _machines.Find(m => m.InstanceId == descriptor.Id || (m.InstanceId is null && m.LaunchId == descriptor.LaunchId));
        if (machine is null)
        {
            if (descriptor.State == InstanceState.Terminated || _ended.Contains(descriptor.Id) || !keeps)
            {
                return;
            }
            if (IndexOf(descriptor.OfferingName) is not { } offering)
            {
                var names = string.Join(", ", _offerings.Select(o => o.Name));
                Fault(new ServingException($"Machine '{descriptor.Id}' of fleet '{_settings.Fleet}' is of offering '{descriptor.OfferingName}', which is not configured; it is left alone. There are: {names}."));
                return;
            }
            _machines.Add(machine = new FleetMachine(descriptor.LaunchId, offering, now) { IsAdopted = true, IsStandby = IsStandby(offering) });
            if (machine.IsStandby && descriptor.State is InstanceState.Running or InstanceState.Pending)
            {
                // It may have been started by an earlier run, for what is lost still.
                StandIn(now, OneMachines);
            }
        }
        if (machine.IsHandedOver)
        {
            if (descriptor.State is InstanceState.Terminated or InstanceState.Stopped)
            {
                PartWith(machine);
            }
            else if (descriptor.State == InstanceState.Interrupting)
            {
                OnNotice(now, machine, descriptor.InterruptedAt);
                SayWhenToWake(now);
            }
            return;
        }
        if (machine.InstanceId is null)
        {
            machine.InstanceId = descriptor.Id;
            machine.AcceptedAt = now;
            machine.State = FleetMachineState.Pending;
            machine.AwaitedFrom = now;
            Launched++;
            // Since when an adopted one of the pool has run, or been stopped, is not known.
            var billedFrom = machine is { IsStandby: true, IsAdopted: true } ? now : BilledHereFrom(now, descriptor);
            _ledger.OnLaunched(descriptor.Id, _offerings[machine.Offering], billedFrom, descriptor.State == InstanceState.Stopped);
        }
        if (descriptor.State is (InstanceState.Running or InstanceState.Stopped) && asOf < machine.SettledAt)
        {
            return;
        }
        if (descriptor.State is InstanceState.Running or InstanceState.Stopped)
        {
            Bill(now, machine, descriptor.State == InstanceState.Stopped);
        }
        Follow(now, machine, descriptor);
        SayWhenToWake(now);
    }

    private void Follow(DateTimeOffset now, FleetMachine machine, InstanceDescriptor descriptor)
    {
        switch (descriptor.State)
        {
            case InstanceState.Terminated:
                var (wasWanted, served) = (machine.State != FleetMachineState.Terminating, ServedBy(machine));
                Lose(now, machine);
                if (wasWanted)
                {
                    CountLoss(now, machine);
                    MakeUpFor(now, served);
                }
                break;
            case InstanceState.Interrupting:
                OnNotice(now, machine, descriptor.InterruptedAt);
                break;
            case InstanceState.Stopped:
                OnSeenStopped(now, machine);
                break;
            case InstanceState.Running or InstanceState.Pending when machine.IsUnwanted || _stopping:
                LetGo(machine);
                break;
            case InstanceState.Running:
                OnSeenRunning(now, machine, descriptor);
                break;
            default:
                break;
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
        _holds.OnServing(machine.Offering);
        if (IsHeld(now) && (!machine.IsStandby || _missing > 0))
        {
            _monitor!.Restart(now);
            _monitor.Hold(now);
        }
        LearnDelay(now, machine);
        if (machine.IsUnwanted || _stopping)
        {
            LetGo(machine);
        }
        else if (machine.IsStandby)
        {
            // It is stopped, unless it is to stand in; and what it does may have been measured only now.
            Reconcile(now);
        }
    }

    /// <summary>What was declared gives way to what is measured; half the weight to each new launch.</summary>
    private void LearnDelay(DateTimeOffset now, FleetMachine machine)
    {
        if (machine.ResumedAt is { } at)
        {
            _resumeDelay[machine.Offering] = (_resumeDelay[machine.Offering] + (now - at)) / 2;
        }
        else if (!machine.IsAdopted && !machine.HasServed)
        {
            _launchDelay[machine.Offering] = (_launchDelay[machine.Offering] + (now - machine.RequestedAt)) / 2;
        }
        machine.ResumedAt = null;
        machine.HasServed = true;
    }

    public void OnConnectFailed(DateTimeOffset now, string instanceId)
    {
        Keeps(now);
        if (Find(instanceId) is { State: FleetMachineState.Connecting } machine)
        {
            Terminate(machine);
            CountFailure(now, machine.Offering, LaunchFailure.Unknown);
            Replan(now);
        }
    }

    /// <summary>A draining machine runs nothing any more.</summary>
    public void OnDrained(DateTimeOffset now, string instanceId)
    {
        if (Find(instanceId) is not { State: FleetMachineState.Draining } machine)
        {
            return;
        }
        if (!Keeps(now) || machine.IsHandedOver)
        {
            _machines.Remove(machine);
        }
        else if (machine.IsStandby && !machine.IsUnwanted && !_stopping)
        {
            StopUnlessNeeded(now, machine);
        }
        else
        {
            Terminate(machine);
        }
    }

    public void OnTerminated(DateTimeOffset now, string instanceId)
    {
        if (Find(instanceId) is { } machine)
        {
            Forget(now, machine);
            if (_missing > 0)
            {
                // There may be room for what could not be started.
                Reconcile(now);
            }
        }
    }

    public void OnTerminateFailed(DateTimeOffset now, string instanceId)
    {
        if (Find(instanceId) is { State: FleetMachineState.Terminating } machine)
        {
            machine.RetryAt = now + _delays.After(machine.CallFailures++);
            SayWhenToWake(now);
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
        if (_settings.IsDryRun)
        {
            return;
        }
        machine.IsUnwanted = true;
        switch (machine.State)
        {
            case FleetMachineState.Ready:
                Drain(machine);
                break;
            case FleetMachineState.Pending or FleetMachineState.Stopping or FleetMachineState.Stopped or FleetMachineState.Starting:
                Terminate(machine);
                break;
            default:
                // Requested, in doubt: ended once it is named. Connecting: drained once it is connected. Draining, terminating: on its way already.
                break;
        }
    }

    private void Drain(FleetMachine machine)
    {
        machine.State = FleetMachineState.Draining;
        _commands.Enqueue(new FleetCommand(FleetCommandKind.Drain) { InstanceId = machine.InstanceId });
    }

    private void Terminate(FleetMachine machine)
    {
        if (_settings.IsDryRun)
        {
            return;
        }
        machine.State = FleetMachineState.Terminating;
        machine.RetryAt = null;
        machine.CallFailures = 0;
        _commands.Enqueue(new FleetCommand(FleetCommandKind.Terminate) { InstanceId = machine.InstanceId });
    }
}
