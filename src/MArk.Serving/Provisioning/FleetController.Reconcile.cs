namespace MArk.Serving.Provisioning;

// What is wanted, and how the fleet gets there.
internal sealed partial class FleetController
{
    private int[]? TryPlan(DateTimeOffset now)
    {
        if (Unmeasured() is { } unmeasured)
        {
            // Nothing is known of what an instance can do: one is had, so that it is measured.
            var wanted = new int[_offerings.Count];
            wanted[unmeasured] = Math.Min(Math.Max(1, _settings.MinInstances), Math.Min(_settings.MaxInstances, _offerings[unmeasured].MaxInstances));
            return wanted;
        }
        Forecast.Start = now;
        try
        {
            _predictor.Forecast(Forecast);
        }
        catch (Exception e)
        {
            Fault(_predictor, "threw from Forecast.", e);
            return null;
        }
        if (BadForecast() is { } bad)
        {
            Fault(_predictor, bad);
            return null;
        }
        return TryPlanOnForecast(now);
    }

    private int[]? TryPlanOnForecast(DateTimeOffset now)
    {
        var states = new OfferingState[_offerings.Count];
        for (var i = 0; i < states.Length; i++)
        {
            var usable = !_isStopped[i] && !double.IsNaN(_capacity[i]);
            states[i] = new OfferingState(
                _offerings[i], usable ? _capacity[i] : 0,
                _machines.Count(m => m.Offering == i && m.State == FleetMachineState.Ready), _machines.Count(m => m.Offering == i && m.IsComing), _launchDelay[i])
            {
                Service = _service[i],
                LaunchingReadyIn = ReadyIn(now, i),
            };
        }
        _plan.Clear();
        try
        {
            _planner.Plan(
                new ProvisioningContext
                {
                    Now = now,
                    Forecast = Forecast,
                    Offerings = states,
                    MinInstances = _settings.MinInstances,
                    MaxInstances = _settings.MaxInstances,
                    SpilloverPricePerRequest = _spilloverPrice,
                    ServiceLevel = _settings.ServiceLevel,
                    MaxHourlySpend = _settings.MaxHourlySpend,
                },
                _plan);
        }
        catch (ServingException e)
        {
            Fault(e);
            return null;
        }
        catch (Exception e)
        {
            Fault(_planner, "threw from Plan.", e);
            return null;
        }
        foreach (var count in _plan.Step(0))
        {
            if (count < 0)
            {
                Fault(_planner, $"planned {count} instances; accepted is 0 or more. The fleet is left as it is.");
                return null;
            }
        }
        return _plan.Step(0).ToArray();
    }

    /// <summary>When the last of an offering's machines on their way is expected to serve; one that is late, any moment.</summary>
    private TimeSpan? ReadyIn(DateTimeOffset now, int offering)
    {
        TimeSpan? last = null;
        foreach (var machine in _machines.Where(m => m.Offering == offering && m.IsComing))
        {
            var left = machine.RequestedAt + _launchDelay[offering] - now;
            left = left > TimeSpan.Zero ? left : TimeSpan.FromTicks(1);
            last = left > last ? left : last ?? left;
        }
        return last;
    }

    /// <summary>The cheapest offering that is not measured, while none that is can keep the objective.</summary>
    private int? Unmeasured()
    {
        int? cheapest = null;
        for (var i = 0; i < _offerings.Count; i++)
        {
            if (_capacity[i] > 0 && !_isStopped[i])
            {
                return null;
            }
            if (double.IsNaN(_capacity[i]) && !_isStopped[i] && (cheapest is not { } best || _offerings[i].PricePerHour < _offerings[best].PricePerHour))
            {
                cheapest = i;
            }
        }
        return cheapest;
    }

    private string? BadForecast()
    {
        for (var t = 0; t < Forecast.Horizon; t++)
        {
            var previous = 0.0;
            for (var level = 0; level < Forecast.Levels.Length; level++)
            {
                var value = Forecast.Quantile(level)[t];
                if (!double.IsFinite(value) || value < previous)
                {
                    return FormattableString.Invariant($"forecast {value} requests/s for quantile {Forecast.Levels[level]} of step {t}; accepted is a finite number not below {previous}. The fleet is left as it is.");
                }
                previous = value;
            }
            if (!(double.IsFinite(Forecast.Mean[t]) && Forecast.Mean[t] >= 0 && double.IsFinite(Forecast.Peak[t]) && Forecast.Peak[t] >= 0))
            {
                return FormattableString.Invariant($"forecast mean {Forecast.Mean[t]} and peak {Forecast.Peak[t]} requests/s for step {t}; accepted are finite numbers of at least 0. The fleet is left as it is.");
            }
        }
        return null;
    }

    private void Reconcile(DateTimeOffset now)
    {
        if (_wantedBefore.Count == 0)
        {
            return;
        }
        var wanted = _wantedBefore.Last().Wanted;
        _refused.Clear();
        for (var i = 0; i < _offerings.Count; i++)
        {
            // One is let go only if fewer were wanted all through the cool-down.
            var kept = Math.Max(wanted[i], _wantedBefore.Max(w => w.Wanted[i]));
            while (_machines.Count(m => m.Offering == i && m.IsActive) > kept && Last(now, i) is { } surplus)
            {
                LetGo(surplus);
            }
            if (_machines.Count(m => m.Offering == i && m.IsActive) - wanted[i] is > 0 and var more)
            {
                _refused.Add(new PlanBound(PlanBoundKind.Cooldown, FormattableString.Invariant($"ScaleInCooldown {_settings.ScaleInCooldown}: {more} x {_offerings[i].Name} kept")));
            }
        }
        for (var i = 0; i < _offerings.Count; i++)
        {
            while (IsShort(i, wanted[i]) && (TryKeep(i) || TryLaunch(now, i)))
            {
                // One more is on its way.
            }
        }
        Explanation = _plan.Explanation with { Bounds = [.. _plan.Explanation.Bounds, .. _refused] };
    }

    private bool IsShort(int offering, int wanted) =>
        _machines.Count(m => m.Offering == offering && m.IsActive) < Math.Min(wanted, _offerings[offering].MaxInstances)
        && _machines.Count(m => m.IsActive) < _settings.MaxInstances;

    /// <summary>One that was to be ended as soon as it could be is wanted again.</summary>
    private bool TryKeep(int offering)
    {
        var machine = _machines.Find(m => m.Offering == offering && m.IsUnwanted && !m.IsInterrupted && m.State is (FleetMachineState.Requested or FleetMachineState.Connecting));
        if (machine is null)
        {
            return false;
        }
        machine.IsUnwanted = false;
        return true;
    }

    /// <summary>Asks for one more, unless that must wait. What drains or is being ended still exists, and counts against the maxima.</summary>
    private bool TryLaunch(DateTimeOffset now, int offering)
    {
        if (_isStopped[offering]
            || _launchNotBefore[offering] > now
            || _machines.Count(m => m.Offering == offering) >= _offerings[offering].MaxInstances
            || _machines.Count >= _settings.MaxInstances
            || IsPastBudget(offering))
        {
            return false;
        }
        var machine = new FleetMachine($"{_settings.LaunchIdPrefix}{_settings.Fleet}-{++_nextLaunch}", offering, now);
        _machines.Add(machine);
        _commands.Enqueue(new FleetCommand(FleetCommandKind.Launch)
        {
            Launch = new LaunchRequest(machine.LaunchId, _settings.Fleet, _offerings[offering].Name),
            Offering = offering,
        });
        return true;
    }

    /// <summary>Whether one more would cost more than may be spent, whatever the planner says; what drains or is being ended still costs.</summary>
    private bool IsPastBudget(int offering)
    {
        var spend = _machines.Sum(m => _offerings[m.Offering].PricePerHour) + _offerings[offering].PricePerHour;
        if (!(spend > _settings.MaxHourlySpend))
        {
            return false;
        }
        _refused.Add(new PlanBound(
            PlanBoundKind.HourlySpend, FormattableString.Invariant($"MaxHourlySpend {_settings.MaxHourlySpend} dollars: refused to launch {_offerings[offering].Name}, {spend} dollars an hour with it")));
        return true;
    }

    /// <summary>Which goes first: one on its way; then the youngest that serves and has been had for the minimum that is billed; then the oldest.</summary>
    private FleetMachine? Last(DateTimeOffset now, int offering) =>
        _machines.FindLast(m => m.Offering == offering && m.IsComing)
        ?? _machines.FindLast(m => m.Offering == offering && m.IsActive && m.RequestedAt + _offerings[offering].MinimumBilling <= now)
        ?? _machines.Find(m => m.Offering == offering && m.IsActive);
}
