namespace MArk.Serving.Prediction;

/// <summary>What was last, stays.</summary>
internal sealed class LastValueForecaster : IRateForecaster
{
    private double _last;

    public void Observe(DateTimeOffset start, double rate) => _last = rate;

    public void Forecast(DateTimeOffset start, Span<double> rates) => rates.Fill(_last);
}

/// <summary>The highest of the last intervals.</summary>
internal sealed class MovingMaximumForecaster(int window) : IRateForecaster
{
    private readonly Queue<double> _recent = new();

    public void Observe(DateTimeOffset start, double rate)
    {
        _recent.Enqueue(rate);
        if (_recent.Count > window)
        {
            _recent.Dequeue();
        }
    }

    public void Forecast(DateTimeOffset start, Span<double> rates) => rates.Fill(_recent.Count == 0 ? 0 : _recent.Max());
}

/// <summary>What was at the same time of the last day that has it; the last value as long as there is none.</summary>
internal sealed class SeasonalNaiveForecaster : IntervalForecaster
{
    private const int MaxDays = 14;

    private readonly IntervalSeries _rates;
    private double _last;

    public SeasonalNaiveForecaster(TimeSpan interval, TimeZoneInfo zone)
        : base(interval, zone) => _rates = new IntervalSeries(Math.Clamp((MaxDays + 1) * DayLength, 1, MaxKept));

    protected override void Learn(long index, double rate)
    {
        _rates.Add(index, rate);
        _last = rate;
    }

    protected override void Predict(long index, Span<double> rates)
    {
        for (var i = 0; i < rates.Length; i++)
        {
            var rate = double.NaN;
            for (var days = 1; DayLength > 0 && days <= MaxDays && double.IsNaN(rate); days++)
            {
                rate = _rates[DaysBefore(index + i, days)];
            }
            rates[i] = double.IsNaN(rate) ? _last : rate;
        }
    }
}
