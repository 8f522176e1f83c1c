namespace MArk.Serving.Prediction;

/// <summary>
/// Autoregression with calendar features, one linear model for each distance (direct multi-step forecasting), of the logarithm of an interval's requests plus one.
/// Fitted by recursive least squares with forgetting and a ridge that draws the coefficients towards "what was last, stays" (Hoerl and Kennard, Technometrics
/// 12(1), 1970), a far outlier having the weight that Huber's loss gives it.
/// </summary>
internal sealed class RidgeForecaster : IntervalForecaster
{
    private const int Features = 12;
    private const int Own = 4;              // features of the origin; the others are of the interval that is forecast
    private const int OfOrigin = Own + 2;
    private const int Packed = Features * (Features + 1) / 2;
    private const double Ridge = 3;
    private const double BeforeADay = 0.05; // what the data of the first day counts once a day before is known
    private const int Outlier = 3;          // standard deviations

    private static readonly double[] Prior = [0, 0.7, 0.3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    private readonly ForecastSteps _steps;
    private readonly double[] _moments;     // [step][packed]: sum of x x'
    private readonly double[] _products;    // [step][feature]: sum of x (y - prior x)
    private readonly double[] _weights;     // [step][feature]
    private readonly double[] _spread;      // [step]: mean absolute error
    private readonly double[] _origins;     // [origin][own features, slow level, the day before]
    private readonly long[] _originIndex;
    private readonly IntervalSeries _values;
    private readonly double _memory;
    private readonly double[] _x = new double[Features];
    private readonly double[] _cholesky = new double[Packed];
    private readonly double[] _calendar = new double[Features];
    private Target _target;
    private double _short;
    private double _middle;
    private double _slow;
    private double _highest;
    private long _seen;
    private long _first;
    private long _last;
    private int _next;
    private bool _dayIsKnown;

    public RidgeForecaster(TimeSpan interval, TimeZoneInfo zone, int horizon)
        : base(interval, zone)
    {
        _steps = new ForecastSteps(horizon);
        _moments = new double[_steps.Count * Packed];
        _products = new double[_steps.Count * Features];
        _weights = new double[_steps.Count * Features];
        _spread = new double[_steps.Count];
        for (var step = 0; step < _steps.Count; step++)
        {
            Prior.CopyTo(_weights, step * Features);
        }
        _origins = new double[(_steps.Last + 1) * OfOrigin];
        _originIndex = new long[_steps.Last + 1];
        Array.Fill(_originIndex, -1);
        _values = new IntervalSeries(DayLength == 0 ? 1 : Math.Min(MaxKept, 8 * DayLength));
        _memory = 1 - 1.0 / Math.Clamp(7 * DayLength, 500, 10_080);
    }

    protected override void Learn(long index, double rate)
    {
        var value = Math.Log(1 + rate * IntervalSeconds);
        _highest = Math.Max(_highest, value);
        if (_seen > 0)
        {
            Fit(index, value);
        }
        else
        {
            _first = index;
        }
        _values.Add(index, value);
        _seen++;
        _short += Math.Max(0.4, 1.0 / _seen) * (value - _short);
        _middle += Math.Max(0.08, 1.0 / _seen) * (value - _middle);
        _slow += Math.Max(1.0 / Math.Clamp(DayLength, 100, 1440), 1.0 / _seen) * (value - _slow);
        _last = index;
        var slot = (int)(index % _originIndex.Length);
        _originIndex[slot] = index;
        var own = _origins.AsSpan(slot * OfOrigin, OfOrigin);
        own[0] = 1;
        own[1] = value - _slow;
        own[2] = _short - _slow;
        own[3] = _middle - _slow;
        own[4] = _slow;
        own[5] = DayLength == 0 ? double.NaN : Around(DaysBefore(index, 1), index);
        if (DayLength > 0 && index - _first >= DayLength && !_dayIsKnown)
        {
            // From here on there are a day before and a calendar: what was fitted without them counts little.
            _dayIsKnown = true;
            Scale(_moments, BeforeADay);
            Scale(_products, BeforeADay);
        }
        SolveSome();
    }

    private static void Scale(Span<double> values, double by)
    {
        foreach (ref var value in values)
        {
            value *= by;
        }
    }

    protected override void Predict(long index, Span<double> rates)
    {
        var own = _origins.AsSpan((int)(_last % _originIndex.Length) * OfOrigin, OfOrigin);
        for (var i = 0; i < rates.Length; i++)
        {
            SetTarget(index + i);
            SetCalendar(own, _last);
            var (step, _) = _steps.At(index + i - _last);
            var value = own[Own] + Dot(_weights.AsSpan(step * Features, Features), own, _calendar);
            rates[i] = (Math.Exp(Math.Clamp(value, 0, _highest + BelievableGrowth)) - 1) / IntervalSeconds;
        }
    }

    private static double Dot(ReadOnlySpan<double> weights, ReadOnlySpan<double> own, ReadOnlySpan<double> calendar)
    {
        var sum = 0.0;
        for (var i = 0; i < Own; i++)
        {
            sum += weights[i] * own[i];
        }
        for (var i = Own; i < Features; i++)
        {
            sum += weights[i] * calendar[i];
        }
        return sum;
    }

    /// <summary>What is the same of an interval for all origins.</summary>
    private void SetTarget(long index)
    {
        if (DayLength == 0)
        {
            return;
        }
        var middle = Middle(index);
        var (yesterday, week) = (DaysBefore(index, 1), DaysBefore(index, 7));
        var day = 2 * Math.PI * Clock.DayShare(middle);
        _target = new Target(
            yesterday, Around(yesterday, long.MaxValue), Around(week, long.MaxValue), Math.SinCos(day), Math.SinCos(2 * day), Clock.WeekShare(middle) >= 5.0 / 7);
    }

    /// <summary>What is known at the origin of the interval to forecast: the same time of earlier days, and the calendar.</summary>
    private void SetCalendar(ReadOnlySpan<double> own, long origin)
    {
        Array.Clear(_calendar);
        if (DayLength == 0)
        {
            return;
        }
        // A day ahead, the interval after yesterday's had not come yet.
        var yesterday = origin > _target.DayBefore ? _target.Yesterday : Around(_target.DayBefore, origin);
        if (!double.IsNaN(yesterday))
        {
            _calendar[4] = yesterday - own[Own];
            _calendar[5] = double.IsNaN(own[Own + 1]) ? 0 : yesterday - own[Own + 1];
            _calendar[6] = double.IsNaN(_target.WeekBefore) ? 0 : _target.WeekBefore - yesterday;
        }
        // Before a whole day was seen its season cannot be told from a trend, nor a weekend before a week was.
        if (origin - _first >= DayLength)
        {
            (_calendar[7], _calendar[8]) = _target.Day;
            (_calendar[9], _calendar[10]) = _target.HalfDay;
        }
        if (origin - _first >= 7L * DayLength)
        {
            _calendar[11] = _target.IsWeekend ? 1 : 0;
        }
    }

    /// <summary>The mean of an interval and its neighbours, as far as they were known at the origin.</summary>
    private double Around(long index, long origin)
    {
        var (sum, count) = (0.0, 0);
        for (var i = index - 1; i <= Math.Min(index + 1, origin); i++)
        {
            var value = _values[i];
            if (!double.IsNaN(value))
            {
                sum += value;
                count++;
            }
        }
        return count == 0 ? double.NaN : sum / count;
    }

    private void Fit(long index, double value)
    {
        SetTarget(index);
        for (var step = 0; step < _steps.Count; step++)
        {
            var origin = index - _steps[step];
            if (origin < 0)
            {
                continue;
            }
            var slot = (int)(origin % _originIndex.Length);
            if (_originIndex[slot] != origin)
            {
                continue;
            }
            var own = _origins.AsSpan(slot * OfOrigin, OfOrigin);
            SetCalendar(own, origin);
            own[..Own].CopyTo(_x);
            _calendar.AsSpan(Own).CopyTo(_x.AsSpan(Own));
            var target = value - own[Own];
            var error = Math.Abs(target - Dot(_weights.AsSpan(step * Features, Features), own, _calendar));
            ref var spread = ref _spread[step];
            spread = spread == 0 ? error : spread + 0.02 * (Math.Min(error, 2 * Outlier * spread) - spread);
            // The standard deviation of a normal error is 1.25 of its mean absolute one.
            var weight = error > Outlier * 1.25 * spread ? Outlier * 1.25 * spread / error : 1;
            Accumulate(step, target - Dot(Prior, own, _calendar), weight);
        }
    }

    private void Accumulate(int step, double target, double weight)
    {
        var moments = _moments.AsSpan(step * Packed, Packed);
        var products = _products.AsSpan(step * Features, Features);
        var at = 0;
        for (var row = 0; row < Features; row++)
        {
            var x = weight * _x[row];
            products[row] = _memory * products[row] + x * target;
            for (var column = 0; column <= row; column++)
            {
                moments[at] = _memory * moments[at] + x * _x[column];
                at++;
            }
        }
    }

    /// <summary>The coefficients change slowly: a few steps' are solved for each time, more as long as there is little data.</summary>
    private void SolveSome()
    {
        for (var i = Math.Min(_steps.Count, _seen < 240 ? 30 : _seen < 1440 ? 6 : 2); i > 0; i--)
        {
            Solve(_next);
            _next = (_next + 1) % _steps.Count;
        }
    }

    /// <summary>Weights = prior + (moments + ridge)^-1 products, by Cholesky.</summary>
    private void Solve(int step)
    {
        var moments = _moments.AsSpan(step * Packed, Packed);
        Span<double> solution = stackalloc double[Features];
        for (var row = 0; row < Features; row++)
        {
            var rowAt = row * (row + 1) / 2;
            for (var column = 0; column <= row; column++)
            {
                var columnAt = column * (column + 1) / 2;
                var sum = moments[rowAt + column] + (row == column ? Ridge : 0);
                for (var k = 0; k < column; k++)
                {
                    sum -= _cholesky[rowAt + k] * _cholesky[columnAt + k];
                }
                _cholesky[rowAt + column] = row == column ? Math.Sqrt(Math.Max(sum, 1e-9)) : sum / _cholesky[columnAt + column];
            }
        }
        for (var row = 0; row < Features; row++)
        {
            var sum = _products[step * Features + row];
            for (var k = 0; k < row; k++)
            {
                sum -= _cholesky[row * (row + 1) / 2 + k] * solution[k];
            }
            solution[row] = sum / _cholesky[row * (row + 1) / 2 + row];
        }
        for (var row = Features - 1; row >= 0; row--)
        {
            var sum = solution[row];
            for (var k = row + 1; k < Features; k++)
            {
                sum -= _cholesky[k * (k + 1) / 2 + row] * solution[k];
            }
            solution[row] = sum / _cholesky[row * (row + 1) / 2 + row];
            _weights[step * Features + row] = Prior[row] + solution[row];
        }
    }

    /// <summary>What an interval has, whatever the origin it is forecast from.</summary>
    /// <param name="DayBefore">The interval of the same time the day before.</param>
    /// <param name="Yesterday">The mean of that and its neighbours; NaN if there is none.</param>
    /// <param name="WeekBefore">The mean of that a week before and its neighbours; NaN if there is none.</param>
    /// <param name="Day">Sine and cosine of the time of day.</param>
    /// <param name="HalfDay">Those of twice of it.</param>
    /// <param name="IsWeekend">Whether it is Saturday or Sunday.</param>
    private readonly record struct Target(
        long DayBefore, double Yesterday, double WeekBefore, (double Sin, double Cos) Day, (double Sin, double Cos) HalfDay, bool IsWeekend);
}
