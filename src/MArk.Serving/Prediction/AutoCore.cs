namespace MArk.Serving.Prediction;

/// <summary>Several predictors' distributions, mixed by how little each has erred of late at each distance and level.</summary>
internal sealed class AutoCore : IntervalPredictor
{
    private static readonly int Quantiles = ForecastTable.Levels.Length;

    private readonly IReadOnlyList<IWorkloadPredictor> _members;
    private readonly MemberShares _shares;
    private readonly NarrowedLevels _levels;
    private readonly double[] _sharesOfLevel;
    private readonly double[] _mixed = new double[Quantiles];
    private readonly double[] _losses = new double[Quantiles];
    private readonly double[] _membersLosses;   // [member][level]
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
        _shares = new MemberShares(Steps, members.Count);
        _levels = new NarrowedLevels(Steps);
        _sharesOfLevel = new double[members.Count];
        _membersLosses = new double[members.Count * Quantiles];
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
        _shares.Clear();
        _levels.Clear();
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
        _shares.Begin();
        for (var step = 0; step < Steps.Count; step++)
        {
            _shares.Reach(step);
            var row = _pending[index - Steps[step]];
            if (row.IsEmpty)
            {
                continue;
            }
            var cell = row.Slice(step * Width, Width);
            _score.Judge(cell[..Quantiles], _losses, _covered);
            _levels.Adapt(step, _covered);
            for (var member = 0; member < _members.Count; member++)
            {
                _score.Judge(cell.Slice((1 + member) * Quantiles, Quantiles), _membersLosses.AsSpan(member * Quantiles, Quantiles), _covered);
            }
            _shares.Learn(step, _membersLosses);
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
            MixStep(table, step, errors, row.IsEmpty ? default : row.Slice(step * Width, Width));
        }
    }

    /// <summary>Mixes what the members were asked for, at one step.</summary>
    /// <param name="table">To be filled.</param>
    /// <param name="step">At which step.</param>
    /// <param name="errors">By the errors at which one.</param>
    /// <param name="cell">Filled with what the members said, unless empty.</param>
    private void MixStep(ForecastTable table, int step, int errors, Span<float> cell)
    {
        var at = Steps[step] - 1;
        var known = _shares.Known(errors);
        for (var level = 0; level < Quantiles; level++)
        {
            _shares.Read(known, level, _sharesOfLevel);
            var mixed = 0.0;
            for (var member = 0; member < _members.Count; member++)
            {
                var quantile = _asked[member].Quantile(level)[at];
                mixed += _sharesOfLevel[member] * quantile;
                if (!cell.IsEmpty)
                {
                    cell[(1 + member) * Quantiles + level] = (float)quantile;
                }
            }
            _mixed[level] = mixed;
        }
        // The highest of an interval's samples is mixed as they are at the highest level.
        table.Peak[step] = 0;
        for (var member = 0; member < _members.Count; member++)
        {
            table.Peak[step] += _sharesOfLevel[member] * _asked[member].Peak[at];
        }
        // Levels that are taken from different members may cross. In order, they err no more than they did (Chernozhukov, Fernández-Val and Galichon, Econometrica
        // 78(3), 2010); raised each to the one below, all of them would follow a low one whose member is far off.
        _mixed.AsSpan().Sort();
        var quantiles = table.Of(step);
        var levels = _levels.Of(errors);
        var before = 0.0;
        for (var level = 0; level < Quantiles; level++)
        {
            quantiles[level] = before = Math.Max(before, ForecastTable.Quantile(_mixed, levels[level]));
        }
    }
}
