namespace MArk.Serving.Prediction;

/// <summary>A point forecaster with its residuals around it.</summary>
internal sealed class ConformalCore : IntervalPredictor
{
    private const double ResidualMemory = 1000;  // intervals
    private const double LossMemory = 0.01;     // per interval
    private const double Preference = 6;              // how sharply a scale that errs less is preferred
    private const int KeptCoarse = 20_160;      // intervals of a minute: two weeks

    private static readonly ResidualScale[] Scales = [ResidualScale.Logarithm, ResidualScale.SquareRoot, ResidualScale.Linear];
    private static readonly int Quantiles = ForecastTable.Levels.Length;

    private readonly Func<TimeSpan, IRateForecaster> _create;
    private readonly bool _answersSurges;
    private readonly Queue<(long Start, double Rate)> _coarse = new();
    private readonly double[] _all;             // point forecasts of all distances
    private readonly double[] _points;          // those of the steps
    private readonly double[] _shares = new double[Scales.Length];
    private readonly double[] _losses = new double[Scales.Length];
    private readonly double[] _read = new double[Quantiles];
    private readonly double[] _judged = new double[Quantiles];
    private readonly double[] _peak = new double[1];
    private readonly double[] _scaled;          // [step][scale][level], as read last
    private IRateForecaster _forecaster;
    private OriginRing _pending;                // [step][point, peak, scale x level]
    private ResidualBand[] _bands;
    private ResidualBand _peaks;
    private readonly QuantileScore _score = new();
    private double _lossWeight;
    private long _coarseLength;

    public ConformalCore(Func<TimeSpan, IRateForecaster> create, PredictorOptions options, bool answersSurges)
        : base(options, answersSurges)
    {
        _create = create;
        _answersSurges = answersSurges;
        _all = new double[options.Horizon];
        _points = new double[Steps.Count];
        _scaled = new double[Steps.Count * Scales.Length * Quantiles];
        _forecaster = create(options.Interval) ?? throw new ArgumentException("It made no forecaster.", nameof(create));
        (_pending, _bands, _peaks) = NewResiduals();
    }

    public ITrainingJob? TakeTrainingJob() => (_forecaster as ITrainable)?.TakeTrainingJob();

    private static int Width => 2 + Scales.Length * Quantiles;

    protected override void Restart()
    {
        _forecaster = _create(Interval) ?? throw new InvalidOperationException("The forecaster's factory made none.");
        (_pending, _bands, _peaks) = NewResiduals();
        Array.Clear(_losses);
        _lossWeight = 0;
        // What came in longer intervals before: its shorter ones are taken to have had the same rate. As many as a history still brings need not be made up.
        var parts = _coarseLength / Length;
        while (_coarse.Count * parts > Math.Max(0, KeptCoarse - Pace.Ahead))
        {
            _coarse.Dequeue();
        }
        foreach (var (start, rate) in _coarse)
        {
            for (var part = 0; part < parts; part++)
            {
                _forecaster.Observe(new DateTimeOffset(start + part * Length, TimeSpan.Zero), rate);
            }
        }
        _coarse.Clear();
    }

    protected override void OnInterval(long index, FinishedInterval interval, ReadOnlySpan<double> samples, bool forecasts)
    {
        KeepCoarse(interval);
        if (_answersSurges)
        {
            Surge.Learn(index, interval.Rate);
        }
        if (!_pending.IsEmpty)
        {
            LearnResiduals(index, samples, interval.Peak);
        }
        _forecaster.Observe(new DateTimeOffset(interval.Start, TimeSpan.Zero), interval.Rate);
        if (!forecasts)
        {
            return;
        }
        Ask(gap: 0);
        if (_answersSurges)
        {
            Surge.Observe(index, interval.Rate, _points);
        }
        FillAround(Table, gap: 0);
        var row = _pending.Add(index);
        for (var step = 0; step < Steps.Count; step++)
        {
            var cell = row.Slice(step * Width, Width);
            cell[0] = (float)_points[step];
            cell[1] = (float)Table.Peak[step];
            for (var i = 2; i < Width; i++)
            {
                cell[i] = (float)_scaled[step * (Width - 2) + i - 2];
            }
        }
    }

    protected override void Fill(ForecastTable table, int gap)
    {
        Ask(gap);
        FillAround(table, gap);
    }

    private (OriginRing, ResidualBand[], ResidualBand) NewResiduals() => (
        new OriginRing(Steps.Last, Steps.Count * Width),
        Array.ConvertAll(Scales, scale => new ResidualBand(scale, SampleSeconds, Steps.Count, ForecastTable.Levels, ResidualMemory)),
        new ResidualBand(ResidualScale.Logarithm, SampleSeconds, Steps.Count, [Options.PeakLevel], ResidualMemory));

    private void KeepCoarse(FinishedInterval interval)
    {
        if (Length > Options.Interval.Ticks)
        {
            _coarseLength = Length;
            _coarse.Enqueue((interval.Start, interval.Rate));
            if (_coarse.Count > KeptCoarse / Math.Max(1, Length / Options.Interval.Ticks))
            {
                _coarse.Dequeue();
            }
        }
    }

    private void Ask(int gap)
    {
        _forecaster.Forecast(new DateTimeOffset(LastEnd + gap * Length, TimeSpan.Zero), _all);
        for (var step = 0; step < Steps.Count; step++)
        {
            var point = _all[Steps[step] - 1];
            if (!(point >= 0 && double.IsFinite(point)))
            {
                throw new ServingException(FormattableString.Invariant(
                    $"{_forecaster.GetType().Name} forecast a rate of {point} for interval {Steps[step]}; accepted is a finite number of at least 0."));
            }
            _points[step] = point;
        }
    }

    private void FillAround(ForecastTable table, int gap)
    {
        SetShares();
        var believed = Ceiling();
        for (var step = 0; step < Steps.Count; step++)
        {
            // What the forecaster says itself is its own.
            var ceiling = Math.Max(believed, _points[step]);
            // After a gap an interval is as far away as its distance from the last one that was seen.
            var errors = gap == 0 ? step : Steps.At(Steps[step] + (long)gap).Index;
            if (_answersSurges)
            {
                _points[step] = Surge.Moved(_points[step], Surge.Move(errors), ceiling);
            }
            var quantiles = table.Of(step);
            quantiles.Clear();
            for (var scale = 0; scale < Scales.Length; scale++)
            {
                _bands[scale].Read(errors, _points[step], _read);
                for (var level = 0; level < Quantiles; level++)
                {
                    _read[level] = Math.Min(_read[level], ceiling);
                    _scaled[(step * Scales.Length + scale) * Quantiles + level] = _read[level];
                    quantiles[level] += _shares[scale] * _read[level];
                }
            }
            _peaks.Read(errors, _points[step], _peak);
            table.Peak[step] = Math.Min(_peak[0], ceiling);
        }
    }

    /// <summary>How much each scale counts: by how little the quantiles taken on it have erred of late.</summary>
    private void SetShares()
    {
        var best = _losses.Min();
        var sum = 0.0;
        for (var scale = 0; scale < Scales.Length; scale++)
        {
            _shares[scale] = best > 0 ? Math.Pow(best / _losses[scale], Preference) : 1;
            sum += _shares[scale];
        }
        for (var scale = 0; scale < Scales.Length; scale++)
        {
            _shares[scale] /= sum;
        }
    }

    private void LearnResiduals(long index, ReadOnlySpan<double> samples, double peak)
    {
        foreach (var band in _bands)
        {
            band.Begin(samples);
        }
        _peaks.Begin([peak]);
        _score.Set(samples);
        Span<double> losses = stackalloc double[Scales.Length];
        losses.Clear();
        var any = false;
        for (var step = 0; step < Steps.Count; step++)
        {
            var row = _pending[index - Steps[step]];
            if (row.IsEmpty)
            {
                continue;
            }
            any = true;
            var cell = row.Slice(step * Width, Width);
            for (var scale = 0; scale < Scales.Length; scale++)
            {
                var quantiles = cell.Slice(2 + scale * Quantiles, Quantiles);
                losses[scale] += _score.Judge(quantiles, _judged, _read);
                for (var level = 0; level < Quantiles; level++)
                {
                    _bands[scale].Adapt(step, level, _read[level]);
                }
                _bands[scale].Learn(step, cell[0], Pace.Weight);
            }
            _peaks.Adapt(step, 0, peak <= cell[1] ? 1 : 0);
            _peaks.Learn(step, cell[0], Pace.Weight);
        }
        if (any)
        {
            _lossWeight += 1;
            var gain = Math.Max(LossMemory, 1 / _lossWeight);
            for (var scale = 0; scale < Scales.Length; scale++)
            {
                _losses[scale] += gain * (losses[scale] - _losses[scale]);
            }
        }
    }
}
