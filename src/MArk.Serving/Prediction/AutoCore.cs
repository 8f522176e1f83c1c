namespace MArk.Serving.Prediction;

/// <summary>Several predictors' distributions, mixed by how little each has erred of late at each distance.</summary>
internal sealed class AutoCore : IntervalPredictor
{
    private const double LossMemory = 0.01;     // per interval
    private const double Preference = 8;            // how sharply a member that errs less is preferred
    private const double Adaptation = 0.002; // slower than the members' own, so that the two do not answer each other
    private const double AdaptationHalf = 3; // steps until half of it

    private static readonly int Quantiles = ForecastTable.Levels.Length;

    private readonly IReadOnlyList<IWorkloadPredictor> _members;
    private readonly double[] _losses;          // [step][member]
    private readonly double[] _judged;          // [step]: how many intervals
    private readonly double[] _effective;       // [step][level]
    private readonly double[] _shares;
    private readonly double[] _mixed = new double[Quantiles];
    private readonly double[] _covered = new double[Quantiles];
    private readonly double[] _medians;
    private readonly QuantileScore _score = new();
    private OriginRing _pending;                // [step][own, members' x level]
    private WorkloadForecast[] _asked;
    private int _nextTrained;

    public AutoCore(IReadOnlyList<IWorkloadPredictor> members, PredictorOptions options)
        : base(options, followsPart: true)
    {
        _members = members;
        _losses = new double[Steps.Count * members.Count];
        _judged = new double[Steps.Count];
        _effective = new double[Steps.Count * Quantiles];
        _shares = new double[members.Count];
        _medians = new double[Steps.Count];
        (_pending, _asked) = New();
    }

    public ITrainingJob? TakeTrainingJob()
    {
        for (var i = 0; i < _members.Count; i++)
        {
            var member = _members[_nextTrained];
            _nextTrained = (_nextTrained + 1) % _members.Count;
            if ((member as ITrainable)?.TakeTrainingJob() is { } job)
            {
                return job;
            }
        }
        return null;
    }

    private int Width => (1 + _members.Count) * Quantiles;

    protected override void Restart() => (_pending, _asked) = New();

    protected override void BeforeIntervals(in ArrivalSample sample)
    {
        foreach (var member in _members)
        {
            member.Observe(sample);
        }
    }

    protected override void OnInterval(long index, FinishedInterval interval, ReadOnlySpan<double> samples, bool forecasts)
    {
        Surge.Learn(index, interval.Rate);
        if (!_pending.IsEmpty)
        {
            Judge(index, samples);
        }
        if (!forecasts)
        {
            return;
        }
        var row = _pending.Add(index);
        Mix(Table, gap: 0, row);
        for (var step = 0; step < Steps.Count; step++)
        {
            _medians[step] = Table.Of(step)[ForecastTable.Median];
            var own = row.Slice(step * Width, Quantiles);
            for (var level = 0; level < Quantiles; level++)
            {
                own[level] = (float)Table.Of(step)[level];
            }
        }
        // Whole intervals its members answer; it answers what has been counted of the one under way.
        Surge.Observe(index, interval.Rate, _medians);
    }

    protected override void Fill(ForecastTable table, int gap) => Mix(table, gap, default);

    public override void BeginHistory(IReadOnlyList<ArrivalSample> past)
    {
        base.BeginHistory(past);
        foreach (var member in _members)
        {
            (member as IHistoryLearner)?.BeginHistory(past);
        }
    }

    public override void EndHistory()
    {
        base.EndHistory();
        foreach (var member in _members)
        {
            (member as IHistoryLearner)?.EndHistory();
        }
    }

    private (OriginRing, WorkloadForecast[]) New()
    {
        Array.Clear(_losses);
        Array.Clear(_judged);
        for (var step = 0; step < Steps.Count; step++)
        {
            ForecastTable.Levels.CopyTo(_effective, step * Quantiles);
        }
        var asked = new WorkloadForecast[_members.Count];
        for (var member = 0; member < asked.Length; member++)
        {
            asked[member] = new WorkloadForecast(Options.Horizon, Interval, [.. ForecastTable.Levels]);
        }
        return (new OriginRing(Steps.Last, Steps.Count * Width), asked);
    }

    private void Judge(long index, ReadOnlySpan<double> samples)
    {
        _score.Set(samples);
        for (var step = 0; step < Steps.Count; step++)
        {
            var row = _pending[index - Steps[step]];
            if (row.IsEmpty)
            {
                continue;
            }
            var cell = row.Slice(step * Width, Width);
            _score.Judge(cell[..Quantiles], _covered);
            for (var level = 0; level < Quantiles; level++)
            {
                var target = ForecastTable.Levels[level];
                ref var effective = ref _effective[step * Quantiles + level];
                effective = Math.Clamp(effective + Adaptation / (1 + step / AdaptationHalf) * (target - _covered[level]), 0.2 * target, 1 - 0.1 * (1 - target));
            }
            _judged[step]++;
            var gain = Math.Max(LossMemory, 1 / _judged[step]);
            for (var member = 0; member < _members.Count; member++)
            {
                var loss = _score.Judge(cell.Slice((1 + member) * Quantiles, Quantiles), _covered);
                ref var mean = ref _losses[step * _members.Count + member];
                mean += gain * (loss - mean);
            }
        }
    }

    private void Mix(ForecastTable table, int gap, Span<float> row)
    {
        for (var member = 0; member < _members.Count; member++)
        {
            _asked[member].Start = new DateTimeOffset(LastEnd + gap * Length, TimeSpan.Zero);
            _members[member].Forecast(_asked[member]);
        }
        for (var step = 0; step < Steps.Count; step++)
        {
            var errors = gap == 0 ? step : Steps.At(Steps[step] + (long)gap).Index;
            SetShares(errors);
            var at = Steps[step] - 1;
            Array.Clear(_mixed);
            table.Peak[step] = 0;
            for (var member = 0; member < _members.Count; member++)
            {
                var asked = _asked[member];
                for (var level = 0; level < Quantiles; level++)
                {
                    var quantile = asked.Quantile(level)[at];
                    _mixed[level] += _shares[member] * quantile;
                    if (!row.IsEmpty)
                    {
                        row[step * Width + (1 + member) * Quantiles + level] = (float)quantile;
                    }
                }
                table.Peak[step] += _shares[member] * asked.Peak[at];
            }
            var quantiles = table.Of(step);
            var before = 0.0;
            for (var level = 0; level < Quantiles; level++)
            {
                quantiles[level] = before = Math.Max(before, ForecastTable.Quantile(_mixed, _effective[errors * Quantiles + level]));
            }
        }
    }

    /// <summary>What each member counts at a step: by its loss of late there, or at the last step before where any is known.</summary>
    private void SetShares(int step)
    {
        while (step > 0 && _judged[step] == 0)
        {
            step--;
        }
        var losses = _losses.AsSpan(step * _members.Count, _members.Count);
        var (best, sum) = (double.PositiveInfinity, 0.0);
        foreach (var loss in losses)
        {
            best = Math.Min(best, loss);
        }
        for (var member = 0; member < losses.Length; member++)
        {
            // A small addition keeps losses of nothing comparable.
            _shares[member] = Math.Pow((best + 1e-9) / (losses[member] + 1e-9), Preference);
            sum += _shares[member];
        }
        for (var member = 0; member < losses.Length; member++)
        {
            _shares[member] /= sum;
        }
    }
}
