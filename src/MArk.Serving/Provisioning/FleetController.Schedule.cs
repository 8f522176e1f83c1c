namespace MArk.Serving.Provisioning;

// Known events.
internal sealed partial class FleetController
{
    private int _scheduledMin;
    private double _scheduledRate;      // the highest of the horizon

    /// <summary>The fewest instances, now and for what is scheduled by the time a launch that the next plan may make would serve.</summary>
    private int MinInstances(DateTimeOffset now)
    {
        if (_settings.Schedule is not { } schedule)
        {
            return _settings.MinInstances;
        }
        var delay = TimeSpan.Zero;
        for (var i = 0; i < _offerings.Count; i++)
        {
            delay = !_holds.IsForGood(i) && _launchDelay[i] > delay ? _launchDelay[i] : delay;
        }
        _scheduledMin = Math.Min(schedule.MinInstances(now, now + delay + _settings.Step), _settings.MaxInstances);
        return Math.Max(_settings.MinInstances, _scheduledMin);
    }

    /// <summary>Raises the forecast to what is scheduled: the planner launches for it as it does for any load.</summary>
    private void RaiseForecast()
    {
        _scheduledRate = 0;
        if (_settings.Schedule is not { } schedule)
        {
            return;
        }
        for (var t = 0; t < Forecast.Horizon; t++)
        {
            var from = Forecast.Start + t * Forecast.Step;
            var rate = schedule.MinRate(from, from + Forecast.Step);
            _scheduledRate = Math.Max(_scheduledRate, rate);
            Forecast.Mean[t] = Math.Max(Forecast.Mean[t], rate);
            Forecast.Peak[t] = Math.Max(Forecast.Peak[t], rate);
            for (var level = 0; level < Forecast.Levels.Length; level++)
            {
                Forecast.Quantile(level)[t] = Math.Max(Forecast.Quantile(level)[t], rate);
            }
        }
    }

    private string? DescribeSchedule() => (_scheduledMin > _settings.MinInstances, _scheduledRate > 0) switch
    {
        (true, true) => FormattableString.Invariant($"ScheduledCapacity: at least {_scheduledMin} instances, and {_scheduledRate} requests/s within the horizon"),
        (true, false) => FormattableString.Invariant($"ScheduledCapacity: at least {_scheduledMin} instances"),
        (false, true) => FormattableString.Invariant($"ScheduledCapacity: {_scheduledRate} requests/s within the horizon"),
        _ => null,
    };
}
