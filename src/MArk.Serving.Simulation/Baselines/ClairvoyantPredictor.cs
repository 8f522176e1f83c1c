namespace MArk.Serving.Simulation.Baselines;

/// <summary>
/// Knows the future: the rates of the trace whose arrivals are simulated. What a planner does with it is what forecasts, however good, could be worth to it. It knows the rates, not the
/// arrivals that were drawn from them.
/// </summary>
public sealed class ClairvoyantPredictor : IWorkloadPredictor
{
    private readonly ArrivalTrace _trace;
    private readonly DateTimeOffset _start;
    private readonly double[] _before;      // requests before each slot, and before the end

    /// <summary>A predictor.</summary>
    /// <param name="trace">What is to come. Gaps are zeros, as no requests arrive in them; so is all time before it and after it.</param>
    /// <param name="start">When it begins, UTC: <see cref="SimulationSettings.Start"/>.</param>
    public ClairvoyantPredictor(ArrivalTrace trace, DateTimeOffset start)
    {
        ArgumentNullException.ThrowIfNull(trace);
        _trace = trace;
        _start = start;
        _before = new double[trace.Counts.Count + 1];
        for (var i = 0; i < trace.Counts.Count; i++)
        {
            _before[i + 1] = _before[i] + trace.Counts[i];
        }
    }

    /// <summary>Learns nothing: it knows.</summary>
    /// <param name="sample">Not looked at.</param>
    public void Observe(in ArrivalSample sample)
    {
    }

    /// <summary>Fills mean and quantiles with the mean rate of each interval, and the peak with the rate of the busiest slot that any part of it lies in.</summary>
    /// <param name="forecast">The buffer.</param>
    public void Forecast(WorkloadForecast forecast)
    {
        ArgumentNullException.ThrowIfNull(forecast);
        for (var t = 0; t < forecast.Horizon; t++)
        {
            // In slots since the trace's begin; each of a difference of ticks, so that what falls on a slot's begin is a whole number.
            var from = (forecast.Start + t * forecast.Step - _start) / _trace.SlotLength;
            var until = (forecast.Start + (t + 1) * forecast.Step - _start) / _trace.SlotLength;
            var mean = Math.Max(0, RequestsBefore(until) - RequestsBefore(from)) / forecast.Step.TotalSeconds;
            forecast.Mean[t] = mean;
            for (var level = 0; level < forecast.Levels.Length; level++)
            {
                forecast.Quantile(level)[t] = mean;
            }
            forecast.Peak[t] = Math.Max(mean, HighestRate(from, until));
        }
    }

    private double RequestsBefore(double slots)
    {
        var at = Math.Clamp(slots, 0, _trace.Counts.Count);
        var slot = Math.Min((int)at, _trace.Counts.Count - 1);
        return _before[slot] + (at - slot) * _trace.Counts[slot];
    }

    private double HighestRate(double from, double until)
    {
        var highest = 0.0;
        var last = (int)Math.Min(Math.Ceiling(until), _trace.Counts.Count);
        for (var slot = (int)Math.Max(0, Math.Floor(from)); slot < last; slot++)
        {
            highest = Math.Max(highest, _trace.Counts[slot]);
        }
        return highest / _trace.SlotLength.TotalSeconds;
    }
}
