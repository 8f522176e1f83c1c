namespace MArk.Serving.Provisioning;

// Known events.
internal sealed partial class FleetController
{
    private ScheduledCapacity? _scheduledInstances;     // what wants most now
    private ScheduledCapacity? _scheduledRate;          // and in the horizon

    /// <summary>The fewest instances, now and for what is scheduled by the time a launch that the next plan may make would serve.</summary>
    private int MinInstances(DateTimeOffset now)
    {
        if (_settings.Schedule is not { } schedule)
        {
            return _settings.MinInstances;
        }
        var delay = TimeSpan.Zero;
        foreach (var i in _candidates)
        {
            delay = !_holds.IsForGood(i) && _launchDelay[i] > delay ? _launchDelay[i] : delay;
        }
        _scheduledInstances = schedule.MostInstances(now, now + delay + _settings.Step) is { } window && window.MinInstances > _settings.MinInstances ? window : null;
        return Math.Min(_scheduledInstances?.MinInstances ?? _settings.MinInstances, MaxPlanned);
    }

    /// <summary>Raises the forecast to what is scheduled: the planner launches for it as it does for any load.</summary>
    private void RaiseForecast()
    {
        _scheduledRate = null;
        if (_settings.Schedule is not { } schedule)
        {
            return;
        }
        for (var t = 0; t < Forecast.Horizon; t++)
        {
            var from = Forecast.Start + t * Forecast.Step;
            if (schedule.HighestRate(from, from + Forecast.Step) is not { MinRate: { } rate } window)
            {
                continue;
            }
            _scheduledRate = _scheduledRate?.MinRate >= rate ? _scheduledRate : window;
            Forecast.Mean[t] = Math.Max(Forecast.Mean[t], rate);
            Forecast.Peak[t] = Math.Max(Forecast.Peak[t], rate);
            for (var level = 0; level < Forecast.Levels.Length; level++)
            {
                Forecast.Quantile(level)[t] = Math.Max(Forecast.Quantile(level)[t], rate);
            }
        }
    }

    private string? DescribeSchedule()
    {
        string[] wants =
        [
            .. _scheduledInstances is { } most ? [FormattableString.Invariant($"at least {most.MinInstances} instances for '{most.Name}'")] : Array.Empty<string>(),
            .. _scheduledRate is { } highest ? [FormattableString.Invariant($"{highest.MinRate} requests/s within the horizon for '{highest.Name}'")] : Array.Empty<string>(),
        ];
        return wants.Length > 0 ? $"ScheduledCapacity: {string.Join(", ", wants)}" : null;
    }
}
