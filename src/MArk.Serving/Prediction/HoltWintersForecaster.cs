namespace MArk.Serving.Prediction;

/// <summary>
/// Exponential smoothing of level, damped trend, and a season of a day and one of a week (Gardner and McKenzie, Management Science 31(10), 1985; two
/// seasons: Taylor, JORS 54(8), 2003), of the logarithm of an interval's requests plus one, so that seasons are factors and zeros are allowed. The parameters are
/// fitted online: a grid of them runs side by side, and each distance is forecast by those whose error at about that distance was lowest of late.
/// </summary>
internal sealed class HoltWintersForecaster : IntervalForecaster
{
    private const double Damping = 0.9;
    private const double SeasonGain = 0.25;
    private const double ErrorMemory = 1.0 / 200;
    private const int Modes = 3;    // of the season: none, day, day and week

    private static readonly double[] LevelGains = [0.01, 0.04, 0.15, 0.5, 1];
    private static readonly double[] TrendGains = [0, 0.1];

    private readonly int[] _distances;
    private readonly Candidate[] _candidates;
    private readonly double[] _pending;     // [origin][candidate][distance]
    private readonly double[] _errors;      // [candidate][distance]
    private readonly int[] _best;           // [distance]
    private readonly long[] _origins;
    private readonly IntervalSeries _day;
    private readonly SeasonProfile? _daily;
    private readonly SeasonProfile? _weekly;
    private readonly double[] _season = new double[Modes];
    private double _slowLevel;
    private double _highest;
    private long _first = -1;
    private long _last = -1;
    private bool _dayIsKnown;

    public HoltWintersForecaster(TimeSpan interval, TimeZoneInfo zone, int horizon)
        : base(interval, zone)
    {
        _distances = [.. new[] { 1, horizon / 12, horizon / 4, horizon }.Select(d => Math.Clamp(d, 1, 360)).Distinct()];
        _candidates = [.. from mode in Enumerable.Range(0, DayLength > 0 ? Modes : 1) from gain in LevelGains from trend in TrendGains select new Candidate(mode, gain, trend)];
        _errors = new double[_candidates.Length * _distances.Length];
        _best = new int[_distances.Length];
        _pending = new double[(_distances[^1] + 1) * _errors.Length];
        _origins = new long[_distances[^1] + 1];
        Array.Fill(_origins, -1);
        _day = new IntervalSeries(Math.Max(1, DayLength));
        if (DayLength > 0)
        {
            var bins = Math.Min(288, DayLength);
            _daily = new SeasonProfile(bins, (double)DayLength / bins, SeasonGain);
            var hours = Math.Min(7 * 24, 7 * DayLength);
            _weekly = new SeasonProfile(hours, 7.0 * DayLength / hours, 2 * SeasonGain);
        }
    }

    protected override void Learn(long index, double rate)
    {
        var value = Math.Log(1 + rate * IntervalSeconds);
        _highest = Math.Max(_highest, value);
        Judge(index, value);
        LearnSeason(index, value);
        SetSeason(index);
        var passed = _last < 0 ? 0 : index - _last;
        foreach (var candidate in _candidates)
        {
            candidate.Learn(value - _season[candidate.Mode], passed);
        }
        _last = index;
        Remember(index);
    }

    protected override void Predict(long index, Span<double> rates)
    {
        for (var i = 0; i < rates.Length; i++)
        {
            var distance = index + i - _last;
            SetSeason(index + i);
            var above = 0;
            while (above < _distances.Length - 1 && _distances[above] < distance)
            {
                above++;
            }
            var value = Value(_candidates[_best[above]], distance);
            if (above > 0 && distance < _distances[above])
            {
                // Between two distances the better ones of both are mixed.
                var part = Math.Log((double)distance / _distances[above - 1]) / Math.Log((double)_distances[above] / _distances[above - 1]);
                value = part * value + (1 - part) * Value(_candidates[_best[above - 1]], distance);
            }
            rates[i] = (Math.Exp(Math.Clamp(value, 0, _highest + BelievableGrowth)) - 1) / IntervalSeconds;
        }
    }

    private double Value(Candidate candidate, long distance) => candidate.Ahead(distance) + _season[candidate.Mode];

    private void Judge(long index, double value)
    {
        for (var d = 0; d < _distances.Length; d++)
        {
            var origin = index - _distances[d];
            var slot = (int)(origin % _origins.Length);
            if (origin < 0 || _origins[slot] != origin)
            {
                continue;
            }
            for (var c = 0; c < _candidates.Length; c++)
            {
                ref var error = ref _errors[c * _distances.Length + d];
                var off = Math.Abs(value - _pending[slot * _errors.Length + c * _distances.Length + d]);
                error += ErrorMemory * (off - error);
                if (error < _errors[_best[d] * _distances.Length + d])
                {
                    _best[d] = c;
                }
            }
        }
    }

    private void LearnSeason(long index, double value)
    {
        if (_daily is null || _weekly is null)
        {
            return;
        }
        _day.Add(index, value);
        if (_first < 0)
        {
            _first = index;
        }
        if (!_dayIsKnown)
        {
            if (index - _first + 1 < DayLength)
            {
                return;
            }
            // The first day as a whole: only now it is known what its mean is.
            _dayIsKnown = true;
            var known = 0;
            for (var i = index - DayLength + 1; i <= index; i++)
            {
                if (!double.IsNaN(_day[i]))
                {
                    _slowLevel += (_day[i] - _slowLevel) / ++known;
                }
            }
            for (var i = index - DayLength + 1; i <= index; i++)
            {
                if (!double.IsNaN(_day[i]))
                {
                    _daily.Learn(Clock.DayShare(Middle(i)), _day[i] - _slowLevel);
                }
            }
            foreach (var candidate in _candidates)
            {
                // What was smoothed so far had the season in it.
                candidate.Restart(value - (candidate.Mode == 0 ? 0 : _daily[Clock.DayShare(Middle(index))]));
            }
            return;
        }
        _slowLevel += (value - _slowLevel) / DayLength;
        var (day, week) = (Clock.DayShare(Middle(index)), Clock.WeekShare(Middle(index)));
        _weekly.Learn(week, value - _slowLevel - _daily[day]);
        _daily.Learn(day, value - _slowLevel);
    }

    private void SetSeason(long index)
    {
        if (_daily is null || _weekly is null || !_dayIsKnown)
        {
            return;
        }
        var (day, week) = (Clock.DayShare(Middle(index)), Clock.WeekShare(Middle(index)));
        _season[1] = _daily[day];
        // A part of the week counts from its second time on: the first is what the day's season and the level are learning.
        _season[2] = _season[1] + (index - _first >= 8L * DayLength ? _weekly[week] : 0);
    }

    private void Remember(long origin)
    {
        var slot = (int)(origin % _origins.Length);
        _origins[slot] = origin;
        for (var d = 0; d < _distances.Length; d++)
        {
            SetSeason(origin + _distances[d]);
            for (var c = 0; c < _candidates.Length; c++)
            {
                _pending[slot * _errors.Length + c * _distances.Length + d] = Value(_candidates[c], _distances[d]);
            }
        }
    }

    private sealed class Candidate(int mode, double levelGain, double trendGain)
    {
        private double _level = double.NaN;
        private double _trend;
        private double _count;

        public int Mode => mode;

        public void Learn(double value, long passed)
        {
            if (double.IsNaN(_level))
            {
                Restart(value);
                return;
            }
            var before = _level;
            _count++;
            // The mean of all as long as there are few; over a gap, as if it had been seen all through.
            var gain = Math.Max(passed == 1 ? levelGain : 1 - Math.Pow(1 - levelGain, passed), 1 / _count);
            var expected = Ahead(passed);
            _level = expected + gain * (value - expected);
            _trend = (1 - trendGain) * Damping * _trend + trendGain * (_level - before) / passed;
        }

        public void Restart(double value) => (_level, _trend, _count) = (value, 0, 1);

        public double Ahead(long distance) =>
            _trend == 0 ? _level : _level + _trend * Damping * (1 - Math.Pow(Damping, distance)) / (1 - Damping);
    }
}
