namespace MArk.Serving.Provisioning;

// What is done between plans, where the objective is broken.
internal sealed partial class FleetController
{
    // With so little of the capacity used, requests are late for another reason than too few instances.
    private const double UseThatShowsWant = 0.5;

    private const int MostPrewarmed = 1000;

    // Launch delays are measured, and never quite equal: one so much longer than the shortest counts as quick too.
    private const double AlmostAsQuick = 1.25;

    private readonly SloMonitor? _monitor;      // nothing if it is turned off, or the planner's fleet is not to be exceeded
    private readonly int[] _held;               // what is kept, whatever is planned, until the objective has been kept for a while
    private int _prewarmed;

    /// <summary>A slot of requests is decided.</summary>
    public void OnOutcomes(DateTimeOffset now, in OutcomeSample sample)
    {
        if (_monitor is null || _stopping)
        {
            return;
        }
        _monitor.Observe(now, sample);
        if (_monitor.IsBroken)
        {
            React(now, _monitor, isStillMissed: sample.InTime < _settings.ServiceLevel * sample.Offered);
        }
    }

    /// <summary>Requests have come to a fleet of none, and can go nowhere else: one instance is had without waiting for the plan.</summary>
    private void WakeFromZero(DateTimeOffset now)
    {
        if (_monitor is not null && !_stopping && _spillover is null && _wantedBefore.Count > 0 && !Active().AsSpan().ContainsAnyExcept(0) && TryLaunchQuick(now))
        {
            Hold(now, _monitor);
        }
    }

    /// <param name="now">Now.</param>
    /// <param name="monitor">What shows it.</param>
    /// <param name="isStillMissed">Whether the last slot alone misses the service level too.</param>
    private void React(DateTimeOffset now, SloMonitor monitor, bool isStillMissed)
    {
        var rate = monitor.Rate;
        var ready = CapacityOf(m => m.State == FleetMachineState.Ready);
        Prewarm(rate > ready ? rate - ready : monitor.MissedRate, moreThanBefore: rate <= ready && isStillMissed);
        // They serve before anything that is launched does; so much is launched as if they did not.
        if (IsInCharge(now))
        {
            StandIn(now, Math.Max(rate - ReadyCapacity(), OneMachines));
        }
        var launched = false;
        while (rate > ActiveCapacity() && TryLaunchQuick(now))
        {
            launched = true;
        }
        // Enough on paper, and all of it serves: the paper is wrong.
        if (!launched && !_machines.Exists(m => m.IsComing) && !_dryLaunches.AsSpan().ContainsAnyExcept(0) && rate > UseThatShowsWant * ActiveCapacity())
        {
            TryLaunchQuick(now);
        }
        // What a dry run would start is told with the next plan.
        if (_missing > 0 && !_settings.IsDryRun && IsInCharge(now))
        {
            Resume(now);
        }
        Hold(now, monitor);
    }

    private void Hold(DateTimeOffset now, SloMonitor monitor)
    {
        monitor.Hold(now);
        foreach (var i in _candidates)
        {
            _held[i] = Math.Max(_held[i], ActiveOf(i));
        }
        if (_wantedBefore.Count > 0)
        {
            Explain(now);
        }
        SayWhenToWake(now);
    }

    /// <summary>Whether what is beyond the plan is kept: while some of it is still on its way, and until the objective has been kept for a while.</summary>
    private bool IsHeld(DateTimeOffset now) =>
        _monitor is not null && (_monitor.IsHeld(now) || (_held.ContainsAnyExcept(0) && _machines.Exists(m => m.IsComing)));

    /// <summary>Launches one of the quickest type that can be had within the guard rails; of those, the cheapest for what it serves.</summary>
    private bool TryLaunchQuick(DateTimeOffset now)
    {
        var able = Launchable(now, Array.FindAll(_candidates, i => _capacity[i] > 0));
        if (able.Length == 0)
        {
            return false;
        }
        var shortest = able.Min(i => _launchDelay[i]);
        var best = able.Where(i => _launchDelay[i] <= AlmostAsQuick * shortest).MinBy(i => (double)_offerings[i].PricePerHour / _capacity[i]);
        return TryLaunch(now, best);
    }

    /// <summary>Has as many spillover environments warm as what the instances cannot serve keeps busy (Little's law), once for as many.</summary>
    /// <param name="beyond">What they cannot serve, requests per second.</param>
    /// <param name="moreThanBefore">Whether as many as were warmed up before were too few: requests come in bursts, which keep more busy at a time. Twice as many are had then.</param>
    private void Prewarm(double beyond, bool moreThanBefore = false)
    {
        if (_spillover is not { } spillover)
        {
            return;
        }
        var busy = Math.Max(0, beyond) * spillover.Latency.TotalSeconds;
        var concurrency = (int)Math.Clamp(Math.Max(Math.Ceiling(busy), moreThanBefore ? 2.0 * _prewarmed : 0), 1, MostPrewarmed);
        if (concurrency > _prewarmed)
        {
            _prewarmed = concurrency;
            _commands.Enqueue(new FleetCommand(FleetCommandKind.Prewarm) { Concurrency = concurrency });
        }
    }

    private double ActiveCapacity()
    {
        var capacity = CapacityOf(m => m.IsActive);
        foreach (var i in _candidates)
        {
            capacity += _dryLaunches[i] > 0 ? _dryLaunches[i] * _capacity[i] : 0;
        }
        return capacity;
    }

    /// <summary>What some machines serve together, requests per second; one that is not measured is taken to serve anything.</summary>
    private double CapacityOf(Func<FleetMachine, bool> which) =>
        _machines.Where(which).Sum(m => double.IsNaN(_capacity[m.Offering]) ? double.PositiveInfinity : _capacity[m.Offering]);
}
