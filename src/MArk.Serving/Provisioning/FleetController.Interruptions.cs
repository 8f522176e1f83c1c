namespace MArk.Serving.Provisioning;

// What is done where a provider takes machines away.
internal sealed partial class FleetController
{
    // For what is in flight to be taken back before the machine is gone.
    private static readonly TimeSpan TakeBackMargin = TimeSpan.FromSeconds(2);

    /// <summary>A machine will be taken away: it gets nothing more to do, and what replaces it is launched at once, elsewhere if that is possible.</summary>
    private void OnNotice(DateTimeOffset now, FleetMachine machine, DateTimeOffset? interruptedAt)
    {
        var isNews = !machine.IsInterrupted;
        machine.IsInterrupted = true;
        machine.InterruptedAt = interruptedAt is not { } at ? machine.InterruptedAt : at > now ? at : now;
        if (!isNews || machine.IsHandedOver)
        {
            return;
        }
        var served = ServedBy(machine);
        LetGo(machine);
        CountInterruption(now, machine);
        if (NeverServed(machine))
        {
            CountFailure(now, machine.Offering, LaunchFailure.Unknown);
        }
        MakeUpFor(now, served);
    }

    /// <summary>A machine is gone that nobody asked to be ended: one that never served is a launch that failed, and is had again as any other, not at once for ever.</summary>
    private void CountLoss(DateTimeOffset now, FleetMachine machine)
    {
        if (machine.IsInterrupted)
        {
            // It was told, and counted then.
            return;
        }
        if (NeverServed(machine))
        {
            CountFailure(now, machine.Offering, LaunchFailure.Unknown);
        }
        else if (_offerings[machine.Offering].Market == InstanceMarket.Spot)
        {
            CountInterruption(now, machine);
        }
    }

    private static bool NeverServed(FleetMachine machine) => !machine.HasServed && !machine.IsAdopted;

    private void CountInterruption(DateTimeOffset now, FleetMachine machine)
    {
        _tally.Interruptions++;
        if (_offerings[machine.Offering].Market == InstanceMarket.Spot)
        {
            _holds.OnInterrupted(machine.Offering, now + _settings.InterruptionHold);
        }
    }

    /// <summary>Plans anew without what is lost, and has standby machines and warm spillover stand in for it meanwhile.</summary>
    private void MakeUpFor(DateTimeOffset now, double served)
    {
        // Before the first plan it is not known what there is: that plan is made without what is lost.
        if (_stopping || _wantedBefore.Count == 0 || !IsInCharge(now))
        {
            return;
        }
        WantPlanned(now);
        if (served > 0 && Unserved() is > 0 and var beyond)
        {
            StandIn(now, Math.Min(_missing + served, beyond));
            Prewarm(beyond);
        }
        Reconcile(now);
    }

    /// <summary>What the plan had from a machine until now, requests per second.</summary>
    private double ServedBy(FleetMachine machine) => machine is { IsActive: true, State: FleetMachineState.Ready } ? CountedCapacity(machine.Offering) : 0;

    /// <summary>An offering is not launched after a launch of it failed; after an interruption only where there is no other.</summary>
    private bool IsHeldBack(DateTimeOffset now, int offering) => _holds.IsHeld(now, offering) || (_holds.IsAvoided(now, offering) && IsThereAnother(now, offering));

    private bool IsThereAnother(DateTimeOffset now, int offering) =>
        Array.Exists(_candidates, i => i != offering && _capacity[i] > 0 && !_holds.IsHeld(now, i) && !_holds.IsAvoided(now, i) && ActiveOf(i) < _offerings[i].MaxInstances && IsWithinBudget(_offerings[i].PricePerHour));

    /// <summary>When what is in flight on an interrupted machine is taken back; never where nothing is, or where it is not known when the machine goes.</summary>
    private DateTimeOffset TakenBackAt(FleetMachine machine) =>
        !_settings.IsDryRun && machine is { IsInterrupted: true, InterruptedAt: { } at, State: FleetMachineState.Draining or FleetMachineState.Connecting } ? at - TakeBackMargin : DateTimeOffset.MaxValue;

    private void TakeBackOverdue(DateTimeOffset now)
    {
        foreach (var machine in _machines.ToArray())
        {
            if (TakenBackAt(machine) > now)
            {
                continue;
            }
            if (machine.IsHandedOver)
            {
                PartWith(machine);
            }
            else
            {
                LoseIfConnected(machine);
                Terminate(machine);
            }
        }
    }
}
