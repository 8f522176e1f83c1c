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
    private readonly double[] _origins;     // [origin][own features, slow level]
    private readonly long[] _originIndex;
    private readonly IntervalSeries _values;
    private readonly double _memory;
    private readonly double[] _x = new double[Features];
    private readonly double[] _cholesky = new double[Packed];
    private readonly double[] _calendar = new double[Features];
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
        _origins = new double[(_steps.Last + 1) * (Own + 1)];
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
        var own = _origins.AsSpan(slot * (Own + 1), Own + 1);
        own[0] = 1;
        own[1] = value - _slow;
        own[2] = _short - _slow;
        own[3] = _middle - _slow;
        own[4] = _slow;
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
        var own = _origins.AsSpan((int)(_last % _originIndex.Length) * (Own + 1), Own + 1);
        for (var i = 0; i < rates.Length; i++)
        {
            SetCalendar(index + i, own[Own], _last);
            var (step, _) = _steps.At(index + i - _last);
            var value = own[Own] + Dot(_weights.AsSpan(step * Features, Features), own, _calendar);
            rates[i] = (Math.Exp(Math.Clamp(value, 0, _highest + 1)) - 1) / IntervalSeconds;
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

    /// <summary>What is known at the origin of the interval to forecast: the same time of earlier days, and the calendar.</summary>
    private void SetCalendar(long index, double slow, long origin)
    {
        Array.Clear(_calendar);
        if (DayLength == 0)
        {
            return;
        }
        var yesterday = Around(DaysBefore(index, 1), origin);
        if (!double.IsNaN(yesterday))
        {
            _calendar[4] = yesterday - slow;
            var since = Around(DaysBefore(origin, 1), origin);
            _calendar[5] = double.IsNaN(since) ? 0 : yesterday - since;
            var week = Around(DaysBefore(index, 7), origin);
            _calendar[6] = double.IsNaN(week) ? 0 : week - yesterday;
        }
        // Before a whole day was seen its season cannot be told from a trend, nor a weekend before a week was.
        if (origin - _first >= DayLength)
        {
            var day = 2 * Math.PI * Clock.DayShare(Middle(index));
            (_calendar[7], _calendar[8]) = Math.SinCos(day);
            (_calendar[9], _calendar[10]) = Math.SinCos(2 * day);
        }
        if (origin - _first >= 7L * DayLength)
        {
            _calendar[11] = Clock.WeekShare(Middle(index)) >= 5.0 / 7 ? 1 : 0;
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
            var own = _origins.AsSpan(slot * (Own + 1), Own + 1);
            SetCalendar(index, own[Own], origin);
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
        for (var i = Math.Min(_steps.Count, _seen < 240 ? 30 : 6); i > 0; i--)
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
}
