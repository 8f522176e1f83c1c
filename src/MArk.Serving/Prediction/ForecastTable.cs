namespace MArk.Serving.Prediction;

/// <summary>A distribution for each step of a horizon, at levels of its own, and how it is read at others.</summary>
internal sealed class ForecastTable(ForecastSteps steps)
{
    private readonly double[] _quantiles = new double[Levels.Length * steps.Count];
    private readonly double[] _at = new double[Levels.Length];

    /// <summary>The levels that are kept.</summary>
    public static double[] Levels { get; } = [0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99];

    /// <summary>Where 0.5 is among them.</summary>
    public const int Median = 4;

    public double[] Peak { get; } = new double[steps.Count];

    /// <summary>The quantiles of a step, at the levels that are kept.</summary>
    public Span<double> Of(int step) => _quantiles.AsSpan(step * Levels.Length, Levels.Length);

    /// <summary>Fills a buffer, each of whose intervals is as far away as said.</summary>
    /// <param name="forecast">The buffer.</param>
    /// <param name="first">The distance of the buffer's begin from the end of the last interval seen, in intervals.</param>
    /// <param name="length">The length of the buffer's intervals, in intervals.</param>
    public void Read(WorkloadForecast forecast, double first, double length)
    {
        for (var i = 0; i < forecast.Horizon; i++)
        {
            // The intervals whose middle lies in the buffer's; the nearest if there is none.
            var from = (int)Math.Ceiling(first + i * length - 0.5);
            var until = (int)Math.Ceiling(first + (i + 1) * length - 0.5);
            if (until <= from)
            {
                from = (int)Math.Floor(first + (i + 0.5) * length);
                until = from + 1;
            }
            (forecast.Mean[i], forecast.Peak[i]) = (0, 0);
            for (var level = 0; level < forecast.Levels.Length; level++)
            {
                forecast.Quantile(level)[i] = 0;
            }
            for (var interval = from; interval < until; interval++)
            {
                Add(forecast, i, Math.Max(interval, 0) + 1, 1.0 / (until - from));
            }
            // Between equal ones rounding may put the higher level's lower.
            for (var level = 1; level < forecast.Levels.Length; level++)
            {
                forecast.Quantile(level)[i] = Math.Max(forecast.Quantile(level)[i], forecast.Quantile(level - 1)[i]);
            }
        }
    }

    private void Add(WorkloadForecast forecast, int i, int distance, double weight)
    {
        var (step, part) = steps.At(distance);
        var lower = Of(step);
        lower.CopyTo(_at);
        var peak = Peak[step];
        if (part > 0)
        {
            var upper = Of(step + 1);
            for (var level = 0; level < _at.Length; level++)
            {
                _at[level] += part * (upper[level] - _at[level]);
            }
            peak += part * (Peak[step + 1] - peak);
        }
        for (var level = 0; level < forecast.Levels.Length; level++)
        {
            forecast.Quantile(level)[i] += weight * Quantile(_at, forecast.Levels[level]);
        }
        forecast.Mean[i] += weight * Mean(_at);
        forecast.Peak[i] = Math.Max(forecast.Peak[i], peak);
    }

    /// <summary>The quantile at any level, from those at the levels kept: in between on a line, above an exponential tail.</summary>
    public static double Quantile(ReadOnlySpan<double> quantiles, double level)
    {
        var levels = Levels;
        if (level >= levels[^1])
        {
            return quantiles[^1] + Tail(quantiles) * Math.Log((1 - levels[^1]) / (1 - level));
        }
        if (level <= levels[0])
        {
            return quantiles[0] * level / levels[0];
        }
        var upper = 1;
        while (levels[upper] < level)
        {
            upper++;
        }
        var part = (level - levels[upper - 1]) / (levels[upper] - levels[upper - 1]);
        return quantiles[upper - 1] + part * (quantiles[upper] - quantiles[upper - 1]);
    }

    private static double Mean(ReadOnlySpan<double> quantiles)
    {
        var levels = Levels;
        var sum = levels[0] * quantiles[0] + (1 - levels[^1]) * (quantiles[^1] + Tail(quantiles));
        for (var i = 1; i < levels.Length; i++)
        {
            sum += (levels[i] - levels[i - 1]) * (quantiles[i] + quantiles[i - 1]) / 2;
        }
        return sum;
    }

    /// <summary>The scale of an exponential tail through the two highest quantiles.</summary>
    private static double Tail(ReadOnlySpan<double> quantiles) =>
        (quantiles[^1] - quantiles[^2]) / Math.Log((1 - Levels[^2]) / (1 - Levels[^1]));
}
