namespace MArk.Serving.Prediction;

/// <summary>
/// Expects of every interval to come what the recent past was: its highest slot, with headroom, as the peak; its empirical distribution as the
/// quantiles. It sees no trend and no season; the headroom is what lets instances start ahead of a rise.
/// </summary>
public sealed class MovingMaximumPredictor : IWorkloadPredictor
{
    private readonly TimeSpan _window;
    private readonly double _headroom;
    private readonly Queue<ArrivalSample> _recent = new();
    private double[] _sorted = [];

    /// <summary>A predictor.</summary>
    /// <param name="window">How far back it looks; more than zero.</param>
    /// <param name="headroom">What the highest recent rate is multiplied by to give the peak; at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    public MovingMaximumPredictor(TimeSpan window, double headroom = 1.2)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(window, TimeSpan.Zero);
        if (!(headroom >= 1 && double.IsFinite(headroom)))
        {
            throw new ArgumentOutOfRangeException(nameof(headroom), headroom, "The headroom must be a number of at least 1.");
        }
        _window = window;
        _headroom = headroom;
    }

    /// <inheritdoc/>
    public void Observe(in ArrivalSample sample)
    {
        _recent.Enqueue(sample);
        while (_recent.Peek().Start + _window <= sample.Start)
        {
            _recent.Dequeue();
        }
    }

    /// <inheritdoc/>
    public void Forecast(WorkloadForecast forecast)
    {
        ArgumentNullException.ThrowIfNull(forecast);
        var count = _recent.Count;
        if (_sorted.Length < count)
        {
            _sorted = new double[count];
        }
        var sum = 0.0;
        var index = 0;
        foreach (var sample in _recent)
        {
            sum += _sorted[index++] = sample.Rate;
        }
        Array.Sort(_sorted, 0, count);
        forecast.Mean.Fill(count == 0 ? 0 : sum / count);
        forecast.Peak.Fill(count == 0 ? 0 : _headroom * _sorted[count - 1]);
        for (var level = 0; level < forecast.Levels.Length; level++)
        {
            // The smallest recent rate that at least this share of the slots stays at or below.
            var rank = (int)Math.Ceiling(forecast.Levels[level] * count) - 1;
            forecast.Quantile(level).Fill(count == 0 ? 0 : _sorted[Math.Clamp(rank, 0, count - 1)]);
        }
    }
}
