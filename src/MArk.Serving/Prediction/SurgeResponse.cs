namespace MArk.Serving.Prediction;

/// <summary>
/// The answer to what no forecaster that averages can follow at once: when the last interval lies far from what is forecast for the next, the forecast is moved
/// towards it. How much of such a surprise lasts, at each distance, is learned from those there were; at first nearly all of it is expected to, less the further away.
/// </summary>
internal sealed class SurgeResponse
{
    private const double FarFrom = 4;           // times the mean absolute difference
    private const double Memory = 0.95;     // per surprise
    private const double PriorShare = 0.95;
    private const double PriorHalf = 60;    // steps until half of it
    private const double PriorWeight = 3;

    private readonly ForecastSteps _steps;
    private readonly double _seconds;
    private readonly OriginRing _before;    // [step]: the logarithm forecast without the response; then how far off the last interval was, and the response's strength
    private readonly double[] _lasted;
    private readonly double[] _seen;
    private double _usual = 0.25;
    private double _difference;
    private double _strength;

    public SurgeResponse(ForecastSteps steps, double intervalSeconds)
    {
        _steps = steps;
        _seconds = intervalSeconds;
        _before = new OriginRing(steps.Last, steps.Count + 2);
        _lasted = new double[steps.Count];
        _seen = new double[steps.Count];
    }

    /// <summary>An interval came: what is left of earlier surprises?</summary>
    public void Learn(long index, double rate)
    {
        _strength = 0;
        var value = Log(rate);
        for (var step = 0; step < _steps.Count; step++)
        {
            var row = _before[index - _steps[step]];
            if (row.IsEmpty || row[^1] <= 0)
            {
                continue;
            }
            var share = Math.Clamp((value - row[step]) / row[^2], -0.5, 1.5);
            _lasted[step] = Memory * _lasted[step] + row[^1] * share;
            _seen[step] = Memory * _seen[step] + row[^1];
        }
    }

    /// <summary>Compares the interval that came with the forecasts that are made after it, rates at each step.</summary>
    public void Observe(long index, double rate, ReadOnlySpan<double> forecast)
    {
        _difference = Log(rate) - Log(forecast[0]);
        _strength = Strength(_difference, 1);
        _usual += 0.02 * (Math.Min(Math.Abs(_difference), FarFrom * _usual) - _usual);
        var row = _before.Add(index);
        for (var step = 0; step < forecast.Length; step++)
        {
            row[step] = (float)Log(forecast[step]);
        }
        row[^2] = (float)_difference;
        row[^1] = (float)_strength;
    }

    /// <summary>By how much the logarithm of requests plus one is moved at a step, after the last interval.</summary>
    public double Move(int step) => _strength == 0 ? 0 : _strength * _difference * Lasting(step);

    /// <summary>By how much it is moved for a part of the interval under way, of which a share was counted.</summary>
    public double Move(int step, double rate, double share, double expected)
    {
        var difference = Log(rate) - Log(expected);
        return Strength(difference, share) * difference * Lasting(step);
    }

    /// <summary>A rate moved on the logarithm, up to a ceiling, or itself where that is higher.</summary>
    public double Moved(double rate, double by, double ceiling) => by == 0 ? rate : Math.Min(Math.Max(0, Math.Exp(Log(rate) + by) - 1) / _seconds, Math.Max(rate, ceiling));

    private double Lasting(int step) => Math.Clamp((PriorWeight * PriorShare / (1 + (_steps[step] - 1) / PriorHalf) + _lasted[step]) / (PriorWeight + _seen[step]), 0, 1);

    /// <summary>Nothing up to what is far, all of it from one and a half times that on. A part of an interval scatters more than the whole.</summary>
    private double Strength(double difference, double share) =>
        Math.Clamp((Math.Abs(difference) / (FarFrom * _usual / Math.Sqrt(share)) - 1) / 0.5, 0, 1);

    private double Log(double rate) => Math.Log(1 + rate * _seconds);
}
