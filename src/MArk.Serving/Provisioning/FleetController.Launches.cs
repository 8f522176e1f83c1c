namespace MArk.Serving.Provisioning;

// How machines are asked for, and what is done where they do not come.
internal sealed partial class FleetController
{
    // A bound for what is slower than it ever was; a model may be large, and an image cold.
    private static readonly TimeSpan ReadyFloor = TimeSpan.FromMinutes(5);
    private const int ReadyFactor = 3;

    private readonly int[] _dryLaunches;        // what would have been launched since the last time the fleet was reconciled
    private int _nextLaunch;

    /// <summary>The provider has a machine for a launch, even one that was given up meanwhile.</summary>
    public void OnLaunchAccepted(DateTimeOffset now, string launchId, InstanceDescriptor descriptor)
    {
        _holds.OnAccepted();
        OnInstanceChanged(now, descriptor with { LaunchId = launchId });
    }

    public void OnLaunchFailed(DateTimeOffset now, string launchId, LaunchFailure failure)
    {
        // A call may fail and its machine come all the same: one that was named meanwhile stays.
        if (_machines.Find(m => m.LaunchId == launchId) is not { InstanceId: null } machine)
        {
            return;
        }
        var isGivenUp = machine.State == FleetMachineState.InDoubt;
        // A call that was cancelled because its time is over may end before a controller that is late to wake has given the machine up.
        _tally.NeverReady += !isGivenUp && ReadyBy(machine) <= now ? 1 : 0;
        if (failure == LaunchFailure.Unknown)
        {
            Doubt(machine, callEndedAt: now);
        }
        else
        {
            _machines.Remove(machine);
        }
        if (failure == LaunchFailure.Misconfigured)
        {
            Fault(new InstanceLaunchException(_offerings[machine.Offering].Name, failure, "it is not launched any more."));
        }
        // One that was given up has been counted, and made up for.
        if (!isGivenUp || failure == LaunchFailure.Misconfigured)
        {
            CountFailure(now, machine.Offering, failure);
            Replan(now);
        }
    }

    /// <summary>Asks for one more, unless that must wait. What drains, is being ended or is in doubt may exist, and counts against the maxima.</summary>
    private bool TryLaunch(DateTimeOffset now, int offering)
    {
        if (Launchable(now, [offering]).Length == 0)
        {
            return false;
        }
        Note(PlanActionKind.Launch, offering);
        if (_settings.IsDryRun)
        {
            _dryLaunches[offering]++;
            return true;
        }
        var machine = new FleetMachine($"{_settings.LaunchIdPrefix}{_settings.Fleet}-{++_nextLaunch}", offering, now) { IsStandby = IsStandby(offering) };
        _machines.Add(machine);
        _commands.Enqueue(new FleetCommand(FleetCommandKind.Launch)
        {
            Launch = new LaunchRequest(machine.LaunchId, _settings.Fleet, _offerings[offering].Name),
            Offering = offering,
            At = ReadyBy(machine),
        });
        return true;
    }

    private bool CanLaunch(DateTimeOffset now, int offering) =>
        IsInCharge(now)
        && !IsHeldBack(now, offering)
        && !_holds.IsThrottled(now)
        && _machines.Count(m => m.Offering == offering) + _dryLaunches[offering] < _offerings[offering].MaxInstances
        && _machines.Count + _dryLaunches.Sum() < _settings.MaxInstances
        && (IsStandby(offering) || _machines.Count(m => !m.IsStandby) + _candidates.Sum(i => _dryLaunches[i]) < MaxPlanned);

    private bool IsStandby(int offering) => _offerings[offering].Market == InstanceMarket.Standby;

    /// <summary>Those of some offerings of which one more can be launched within the guard rails, whatever the planner says. Where it is the budget alone that forbids all of them, that is said.</summary>
    private int[] Launchable(DateTimeOffset now, int[] among)
    {
        var allowed = Array.FindAll(among, i => CanLaunch(now, i));
        var affordable = Array.FindAll(allowed, i => IsWithinBudget(_offerings[i].PricePerHour));
        if (affordable.Length == 0 && allowed.Length > 0)
        {
            RefuseForBudget("launch", allowed[0], _offerings[allowed[0]].PricePerHour);
        }
        return affordable;
    }

    private void RefuseForBudget(string what, int offering, decimal more) => Refuse(
        PlanBoundKind.HourlySpend,
        FormattableString.Invariant($"MaxHourlySpend {_settings.MaxHourlySpend} dollars: refused to {what} {_offerings[offering].Name}, {SpendWithMore(more)} dollars an hour with it"));

    /// <summary>Whether so much more an hour, US dollars, is no more than may be spent.</summary>
    private bool IsWithinBudget(decimal more) => !(SpendWithMore(more) > _settings.MaxHourlySpend);

    /// <summary>What drains, is being ended or may come costs too.</summary>
    private decimal SpendWithMore(decimal more)
    {
        var spend = HourlySpend + more;
        for (var i = 0; i < _dryLaunches.Length; i++)
        {
            spend += _dryLaunches[i] * _offerings[i].PricePerHour;
        }
        return spend;
    }

    /// <summary>Nobody knows whether the machine comes: it counts against the maxima, and not as capacity, until the call has ended and a list tells that was asked for afterwards.</summary>
    private void Doubt(FleetMachine machine, DateTimeOffset callEndedAt)
    {
        machine.State = FleetMachineState.InDoubt;
        machine.CallEndedAt = callEndedAt;
        if (_stopping)
        {
            _commands.Enqueue(new FleetCommand(FleetCommandKind.List));
        }
    }

    /// <summary>Gives up what has not become ready in time: it is not waited for any more, and counts as a launch that failed.</summary>
    private void GiveUpOverdue(DateTimeOffset now)
    {
        var any = false;
        foreach (var machine in _machines.ToArray())
        {
            if (ReadyBy(machine) > now)
            {
                continue;
            }
            any = true;
            _tally.NeverReady++;
            if (machine.State == FleetMachineState.Requested)
            {
                Doubt(machine, callEndedAt: DateTimeOffset.MaxValue);
            }
            else
            {
                LoseIfConnected(machine);
                Terminate(machine);
            }
            CountFailure(now, machine.Offering, LaunchFailure.Unknown);
        }
        if (any)
        {
            Replan(now);
        }
    }

    /// <summary>By when a machine on its way must serve; never where it is not on its way.</summary>
    private DateTimeOffset ReadyBy(FleetMachine machine)
    {
        if (_settings.IsDryRun || !machine.IsOnItsWay)
        {
            return DateTimeOffset.MaxValue;
        }
        if (_settings.ReadyTimeout is { } set)
        {
            return machine.AwaitedFrom + set;
        }
        var offering = _offerings[machine.Offering];
        var (declared, measured) = machine.ResumedAt is null ? (offering.LaunchDelay, _launchDelay[machine.Offering]) : (offering.ResumeDelay, _resumeDelay[machine.Offering]);
        var bound = ReadyFactor * (declared > measured ? declared : measured);
        return machine.AwaitedFrom + (bound > ReadyFloor ? bound : ReadyFloor);
    }

    private void CountFailure(DateTimeOffset now, int offering, LaunchFailure failure)
    {
        _tally.LaunchFailures[(int)failure]++;
        _holds.OnFailed(now, offering, failure);
        SayWhenToWake(now);
    }
}
