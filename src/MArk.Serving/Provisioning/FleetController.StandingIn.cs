namespace MArk.Serving.Provisioning;

// How many standby machines there are, and when they stand in for others: until those are replaced.
internal sealed partial class FleetController
{
    private const double OneMachines = double.Epsilon;  // so little that one machine does for it

    private double _missing;    // the capacity that they are to stand in for, requests per second; 0 where there is none
    private DateTimeOffset _standsInUntil;

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
            if (machine is not { State: FleetMachineState.Stopped, IsStandby: true, IsBeingCalled: false, RetryAt: null } || _capacity[machine.Offering] == 0)
            {
                continue;
            }
            var more = _offerings[machine.Offering].PricePerHour - SpendOf(machine);
            if (!IsWithinBudget(more))
            {
                RefuseForBudget("start", machine.Offering, more);
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

    /// <summary>What they have is finished before they are stopped.</summary>
    private void StandDown()
    {
        foreach (var machine in _machines)
        {
            if (!_settings.IsDryRun && machine is { IsStandby: true, IsUnwanted: false, State: FleetMachineState.Ready })
            {
                Note(PlanActionKind.Stop, machine.Offering);
                Drain(machine);
            }
        }
    }

    /// <summary>Launches what the pool lacks. One in doubt may come, and there is no hurry: it counts until it is known.</summary>
    private void KeepPool(DateTimeOffset now)
    {
        if (Array.Exists(_standbys, i => _capacity[i] != 0))
        {
            // One that has turned out too slow for the objective makes room for one of another offering.
            foreach (var machine in _machines.Where(m => InPool(m) && _capacity[m.Offering] == 0).ToArray())
            {
                Note(PlanActionKind.LetGo, machine.Offering);
                LetGo(machine);
            }
        }
        var had = _machines.Count(InPool) + _standbys.Sum(i => _dryLaunches[i]);
        while (had < _settings.StandbyInstances && TryLaunchStandby(now))
        {
            had++;
        }
        for (; had > _settings.StandbyInstances && _missing == 0; had--)
        {
            if (_machines.FindLast(InPool) is not { } machine)
            {
                break;
            }
            Note(PlanActionKind.LetGo, machine.Offering);
            LetGo(machine);
        }
    }

    private static bool InPool(FleetMachine machine) => machine is { IsStandby: true, IsUnwanted: false, State: not FleetMachineState.Terminating };

    /// <summary>One of the offering that is resumed most quickly, of equal ones the cheapest to keep.</summary>
    private bool TryLaunchStandby(DateTimeOffset now)
    {
        var able = Launchable(now, Array.FindAll(_standbys, i => _capacity[i] != 0));
        return able.Length > 0 && TryLaunch(now, able.MinBy(i => (_offerings[i].ResumeDelay, _offerings[i].StoppedPricePerHour)));
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
