namespace MArk.Serving.Prediction;

/// <summary>A predictor that makes a distribution for each step after each finished interval, and reads its forecasts from that.</summary>
internal abstract class IntervalPredictor
{
    /// <summary>After so many intervals it is believed how far a series goes up.</summary>
    public const int EnoughIntervals = 30;

    private const double Believable = 5;            // deviations above the highest rate that was ever seen: twice that for high ones
    private const double BelievableAtFirst = 1;

    private readonly IntervalBuilder _builder;
    private readonly double[] _moved = new double[ForecastTable.Levels.Length];
    private readonly ForecastTable _shown;
    private readonly bool _followsPart;
    private bool _isReady;
    private bool _isCurrent;        // whether the table is that after the last interval
    private double _highest;        // the highest rate of a sample
    private int _intervals;

    /// <param name="options">Intervals and horizon.</param>
    /// <param name="followsPart">Whether what was counted of the interval under way moves a forecast, if it lies far from what was expected.</param>
    protected IntervalPredictor(PredictorOptions options, bool followsPart)
    {
        _followsPart = followsPart;
        Options = options;
        Steps = new ForecastSteps(options.Horizon);
        Table = new ForecastTable(Steps);
        _shown = new ForecastTable(Steps);
        _builder = new IntervalBuilder(options.Interval, options.SampleLength);
        Surge = new SurgeResponse(Steps, options.Interval.TotalSeconds);
    }

    protected PredictorOptions Options { get; }

    /// <summary>What of a history is still to come.</summary>
    protected HistoryPace Pace { get; private set; } = new();

    protected ForecastSteps Steps { get; }

    /// <summary>The distribution for each step after the last interval.</summary>
    protected ForecastTable Table { get; }

    protected SurgeResponse Surge { get; private set; }

    protected long Length => _builder.Length;

    protected TimeSpan Interval => TimeSpan.FromTicks(_builder.Length);

    protected double SampleSeconds => _builder.SampleSeconds;

    /// <summary>When the last interval seen ended, UTC ticks.</summary>
    protected long LastEnd { get; private set; }

    public void Observe(in ArrivalSample sample)
    {
        if (_builder.Add(sample))
        {
            Pace.Restart();
            Surge = new SurgeResponse(Steps, Interval.TotalSeconds);
            _isReady = false;
            Restart();
        }
        BeforeIntervals(sample);
        while (_builder.TryTake(out var interval))
        {
            LastEnd = interval.Start + Length;
            _intervals++;
            _highest = Math.Max(_highest, interval.Peak);
            foreach (var rate in _builder.Samples)
            {
                _highest = Math.Max(_highest, rate);
            }
            _isCurrent = Pace.Next();
            OnInterval(interval.Start / Length, interval, _builder.Samples, _isCurrent);
            _isReady = true;
        }
    }

    /// <inheritdoc cref="IHistoryLearner.BeginHistory"/>
    public virtual void BeginHistory(IReadOnlyList<ArrivalSample> past) => Pace = new HistoryPace(past, Options);

    /// <inheritdoc cref="IHistoryLearner.EndHistory"/>
    public virtual void EndHistory() => Pace = new HistoryPace();

    public void Forecast(WorkloadForecast forecast)
    {
        ArgumentNullException.ThrowIfNull(forecast);
        var length = (double)forecast.Step.Ticks / Length;
        if (forecast.Horizon * length > Options.Horizon + 1e-9)
        {
            throw new ArgumentOutOfRangeException(nameof(forecast), forecast.Horizon, FormattableString.Invariant(
                $"{forecast.Horizon} steps of {forecast.Step.TotalSeconds} s are {forecast.Horizon * length:0.##} intervals of {Interval.TotalSeconds} s; this predictor was made for at most {Options.Horizon}."));
        }
        if (!_isReady)
        {
            if (_builder.PartShare > 0)
            {
                FillAroundPart();
                _shown.Read(forecast, first: 0, length);
            }
            else
            {
                Clear(forecast);
            }
            return;
        }
        var first = (double)(forecast.Start.UtcTicks - LastEnd) / Length;
        var gap = (int)Math.Clamp(Math.Floor(first), 0, int.MaxValue);
        var table = Table;
        if (gap > 0 || !_isCurrent)
        {
            table = _shown;
            Fill(table, gap);
        }
        else if (_followsPart && _builder.PartShare is >= 0.25 and < 1)
        {
            table = WithPart();
        }
        table.Read(forecast, first - gap, length);
    }

    /// <summary>
    /// The highest rate that residuals and surprises are believed to lead to: on a logarithmic scale, learned from a few intervals that went up and down, they make of a forecast what is far
    /// above anything that ever was.
    /// </summary>
    protected double Ceiling()
    {
        var requests = Math.Max(_highest, _builder.PartRate) * SampleSeconds;
        var deviations = BelievableAtFirst + (Believable - BelievableAtFirst) * Math.Min(1, (double)_intervals / EnoughIntervals);
        return (requests + deviations * ResidualBand.PriorDeviation(requests)) / SampleSeconds;
    }

    /// <summary>Intervals have another length: everything is learned anew.</summary>
    protected abstract void Restart();

    /// <summary>A sample came; the intervals it finishes follow.</summary>
    protected virtual void BeforeIntervals(in ArrivalSample sample)
    {
    }

    /// <summary>An interval came.</summary>
    /// <param name="index">Which.</param>
    /// <param name="interval">Its rates.</param>
    /// <param name="samples">Its samples' rates.</param>
    /// <param name="forecasts">Whether the table is filled with what is forecast after it, to be judged later.</param>
    protected abstract void OnInterval(long index, FinishedInterval interval, ReadOnlySpan<double> samples, bool forecasts);

    /// <summary>Fills a table for the steps that begin some intervals after the last one seen.</summary>
    protected abstract void Fill(ForecastTable table, int gap);

    /// <summary>What the counted part of the interval under way says, if it lies far from what was expected.</summary>
    private ForecastTable WithPart()
    {
        var expected = Table.Of(0)[ForecastTable.Median];
        if (Surge.Move(0, _builder.PartRate, _builder.PartShare, expected) == 0)
        {
            return Table;
        }
        var ceiling = Ceiling();
        for (var step = 0; step < Steps.Count; step++)
        {
            var by = Surge.Move(step, _builder.PartRate, _builder.PartShare, expected);
            Table.Of(step).CopyTo(_moved);
            for (var level = 0; level < _moved.Length; level++)
            {
                _moved[level] = Surge.Moved(_moved[level], by, ceiling);
            }
            _moved.CopyTo(_shown.Of(step));
            _shown.Peak[step] = Surge.Moved(Table.Peak[step], by, ceiling);
        }
        return _shown;
    }

    /// <summary>Before any interval is finished: what was counted of the first one stays, as far as is known (<see cref="ResidualBand.PriorDeviation"/>).</summary>
    private void FillAroundPart()
    {
        var rate = _builder.PartRate;
        var deviation = ResidualBand.PriorDeviation(rate * SampleSeconds) / SampleSeconds;
        // The highest of n is at or below a value as often as each of them is, to the power of n.
        var highest = Math.Pow(Options.PeakLevel, SampleSeconds / Interval.TotalSeconds);
        for (var step = 0; step < Steps.Count; step++)
        {
            for (var level = 0; level < ForecastTable.Levels.Length; level++)
            {
                _shown.Of(step)[level] = Math.Max(0, rate + deviation * NormalDistribution.Quantile(ForecastTable.Levels[level]));
            }
            _shown.Peak[step] = rate + deviation * Math.Max(0, NormalDistribution.Quantile(highest));
        }
    }

    private static void Clear(WorkloadForecast forecast)
    {
        forecast.Mean.Clear();
        forecast.Peak.Clear();
        for (var level = 0; level < forecast.Levels.Length; level++)
        {
            forecast.Quantile(level).Clear();
        }
    }
}
