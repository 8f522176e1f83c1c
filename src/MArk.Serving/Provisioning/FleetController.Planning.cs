namespace MArk.Serving.Provisioning;

// What is wanted.
internal sealed partial class FleetController
{
    private bool _hasForecast;
    private DateTimeOffset _plannedAt;
    private PlanExplanation _planned = PlanExplanation.None;    // of the last plan that was one

    private void MakeForecast(DateTimeOffset now)
    {
        Forecast.Start = now;
        _hasForecast = false;
        try
        {
            _predictor.Forecast(Forecast);
        }
        catch (Exception e)
        {
            Fault(_predictor, "threw from Forecast.", e);
            return;
        }
        if (BadForecast() is { } bad)
        {
            Fault(_predictor, bad);
            return;
        }
        _hasForecast = true;
        RaiseForecast();
        for (var i = 0; i < _curves.Length; i++)
        {
            Count(i);
        }
    }

    /// <summary>Plans on the last forecast, since something else has changed, and reconciles.</summary>
    private void Replan(DateTimeOffset now)
    {
        if (!_stopping && IsInCharge(now))
        {
            WantPlanned(now);
            Reconcile(now);
        }
    }

    private void WantPlanned(DateTimeOffset now)
    {
        if (_hasForecast || Unmeasured(now) is not null)
        {
            Want(now, TryPlan(now));
        }
    }

    private void Want(DateTimeOffset now, int[]? wanted)
    {
        if (wanted is not null)
        {
            _wantedBefore.Enqueue((now, wanted));
        }
    }

    private int[]? TryPlan(DateTimeOffset now)
    {
        _plannedAt = now;
        _plan.Clear();
        var least = MinInstances(now);
        if (Unmeasured(now) is { } unmeasured)
        {
            // Nothing is known of what an instance can do: one is had, so that it is measured.
            var wanted = new int[_offerings.Count];
            wanted[unmeasured] = Math.Min(Math.Max(1, least), Math.Min(MaxPlanned, _offerings[unmeasured].MaxInstances));
            _planned = new PlanExplanation { Summary = $"no offering is measured that can keep the objective: {_offerings[unmeasured].Name} is had first, the cheapest that is not" };
            return wanted;
        }
        var states = OfferingStates(now);
        try
        {
            _planner.Plan(
                new ProvisioningContext
                {
                    Now = now,
                    Forecast = Forecast,
                    Offerings = states,
                    MinInstances = least,
                    MaxInstances = MaxPlanned,
                    SpilloverPricePerRequest = _spillover?.PricePerRequest,
                    ServiceLevel = _settings.ServiceLevel,
                    Burstiness = _bursts.Value,
                    MaxHourlySpend = _settings.MaxHourlySpend is { } most ? Math.Max(0, most - _machines.Where(m => m.IsStandby).Sum(SpendOf)) : null,
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
        _planned = _plan.Explanation;
        var counts = new int[_offerings.Count];
        for (var k = 0; k < _candidates.Length; k++)
        {
            counts[_candidates[k]] = _plan.Step(0)[k];
        }
        return counts;
    }

    private OfferingState[] OfferingStates(DateTimeOffset now)
    {
        var states = new OfferingState[_candidates.Length];
        for (var k = 0; k < states.Length; k++)
        {
            var i = _candidates[k];
            var ready = _machines.Count(m => m.Offering == i && m.State == FleetMachineState.Ready);
            var launching = _machines.Count(m => m.Offering == i && m.IsComing);
            // One that is held back keeps what it has.
            var offering = IsHeldBack(now, i) ? _offerings[i] with { MaxInstances = Math.Min(_offerings[i].MaxInstances, ready + launching) } : _offerings[i];
            states[k] = new OfferingState(offering, double.IsNaN(_capacity[i]) ? 0 : _capacity[i], ready, launching, _launchDelay[i])
            {
                Service = _service[i],
                LaunchingReadyIn = ReadyIn(now, i),
            };
        }
        return states;
    }

    /// <summary>Machines of an offering that serve or are on their way, and those that a dry run would have launched.</summary>
    private int ActiveOf(int offering) => _machines.Count(m => m.Offering == offering && m.IsActive) + _dryLaunches[offering];

    private int[] Active() => [.. Enumerable.Range(0, _offerings.Count).Select(i => IsStandby(i) ? 0 : ActiveOf(i))];

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

    /// <summary>The cheapest offering that is not measured, while none that is can keep the objective; one that is held back only if there is no other.</summary>
    private int? Unmeasured(DateTimeOffset now)
    {
        int? cheapest = null;
        foreach (var i in _candidates)
        {
            if (_capacity[i] > 0 && !_holds.IsForGood(i))
            {
                return null;
            }
            if (double.IsNaN(_capacity[i]) && !_holds.IsForGood(i) && (cheapest is not { } best || Order(i).CompareTo(Order(best)) < 0))
            {
                cheapest = i;
            }
        }
        return cheapest;

        (bool IsHeld, decimal Price) Order(int i) => (IsHeldBack(now, i) && !_machines.Exists(m => m.Offering == i && m.IsActive), _offerings[i].PricePerHour);
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
}
