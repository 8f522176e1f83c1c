namespace MArk.Serving.Provisioning;

// Where several hosts could keep the fleet, the one that holds its lease does. It acts on nothing once the lease has run out, whatever has come of asking for it again.
internal sealed partial class FleetController
{
    private DateTimeOffset _leasedUntil;
    private DateTimeOffset _keptFrom;
    private bool _takesOver;        // this host keeps the fleet, and has not seen yet what there is

    /// <summary>Whether this host keeps the fleet: launches and ends its machines.</summary>
    public bool IsKeeper { get; private set; }

    /// <summary>The fleet is this host's to keep until some time, or another's.</summary>
    /// <param name="now">Now.</param>
    /// <param name="until">Until when, UTC, unless more is said; nothing if another host keeps it.</param>
    public void OnLease(DateTimeOffset now, DateTimeOffset? until)
    {
        _leasedUntil = until ?? DateTimeOffset.MinValue;
        if (Keeps(now) && !IsKeeper)
        {
            (IsKeeper, _takesOver, _keptFrom) = (true, true, now);
            _commands.Enqueue(new FleetCommand(FleetCommandKind.List));
        }
        SayWhenToWake(now);
    }

    /// <summary>Whether this host keeps the fleet still; from the moment on that it does not, what it had is the next one's.</summary>
    private bool Keeps(DateTimeOffset now)
    {
        if (IsKeeper && now >= _leasedUntil)
        {
            IsKeeper = _takesOver = false;
            HandOver(now);
        }
        return now < _leasedUntil;
    }

    /// <summary>Leaves every machine as it is: those that serve finish what they have from here, and the next keeper adopts all of them by their tag.</summary>
    private void HandOver(DateTimeOffset now)
    {
        foreach (var machine in _machines.ToArray())
        {
            if (machine.InstanceId is { } id)
            {
                _ledger.OnTerminated(id, now);
            }
            machine.IsHandedOver = machine.IsUnwanted = true;
            if (machine.State == FleetMachineState.Ready)
            {
                Drain(machine);
            }
            else if (machine.State != FleetMachineState.Draining)
            {
                // One that is being connected is taken from the scheduler when it is.
                _machines.Remove(machine);
            }
        }
        _wantedBefore.Clear();
        _missing = 0;
    }

    /// <summary>From when on a machine's cost is this host's: what it cost before it was taken over, the last keeper has counted.</summary>
    private DateTimeOffset BilledHereFrom(DateTimeOffset now, InstanceDescriptor machine)
    {
        var from = machine.BilledFrom == default ? now : machine.BilledFrom;
        return from > _keptFrom ? from : _keptFrom;
    }

    /// <summary>Whether this host keeps the fleet and knows what there is.</summary>
    private bool IsInCharge(DateTimeOffset now) => Keeps(now) && !_takesOver;

    /// <summary>Takes a machine that was handed over from the scheduler, whatever it has from here.</summary>
    private void PartWith(FleetMachine machine)
    {
        LoseIfConnected(machine);
        _machines.Remove(machine);
    }
}
