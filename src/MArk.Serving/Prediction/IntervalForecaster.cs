namespace MArk.Serving.Prediction;

/// <summary>A forecaster that counts intervals instead of reading dates, and what seasons need.</summary>
internal abstract class IntervalForecaster : IRateForecaster
{
    /// <summary>Two weeks and a day of minutes: what is kept at most of anything.</summary>
    protected const int MaxKept = 15 * 1440;

    private readonly long _interval;
    private long _phase;
    private long _seen;

    protected IntervalForecaster(TimeSpan interval, TimeZoneInfo zone)
    {
        _interval = interval.Ticks;
        Clock = new SeasonClock(zone);
        var perDay = Math.Round((double)TimeSpan.TicksPerDay / _interval);
        DayLength = perDay is >= 2 and <= MaxKept ? (int)perDay : 0;
        IntervalSeconds = interval.TotalSeconds;
    }

    protected SeasonClock Clock { get; }

    /// <summary>Intervals of a day; 0 where they are too many to be kept, or too few: then there is no season.</summary>
    protected int DayLength { get; }

    protected double IntervalSeconds { get; }

    protected bool HasSeen => _seen > 0;

    /// <summary>By how much the logarithm of a rate is believed to exceed the highest that was seen: at most twice of it, and less as long as few intervals were.</summary>
    protected double BelievableGrowth => Math.Log(1 + Math.Min(1, (double)_seen / IntervalPredictor.EnoughIntervals));

    public void Observe(DateTimeOffset start, double rate)
    {
        if (!HasSeen)
        {
            _phase = start.UtcTicks % _interval;
        }
        _seen++;
        Learn(start.UtcTicks / _interval, rate);
    }

    public void Forecast(DateTimeOffset start, Span<double> rates)
    {
        if (HasSeen)
        {
            Predict(start.UtcTicks / _interval, rates);
        }
        else
        {
            rates.Clear();
        }
    }

    /// <summary>The instant in an interval's middle, UTC ticks.</summary>
    protected long Middle(long index) => index * _interval + _phase + _interval / 2;

    /// <summary>The interval of the same time of day, some days before.</summary>
    protected long DaysBefore(long index, int days) => index - (Middle(index) - Clock.DaysBefore(Middle(index), days) + _interval / 2) / _interval;

    protected abstract void Learn(long index, double rate);

    protected abstract void Predict(long index, Span<double> rates);
}
