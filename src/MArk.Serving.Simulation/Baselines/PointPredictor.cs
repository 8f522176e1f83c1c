using MArk.Serving.Prediction;

namespace MArk.Serving.Simulation.Baselines;

/// <summary>
/// Forecasts a number, as MArk's predictor does (USENIX ATC 2019, section 4.1): the highest rate of a sample slot in each interval to come, from those of the intervals before. The forecaster is
/// shown those instead of means, and what it answers is the peak and, since nothing is known of how far off it may be, every quantile.
/// </summary>
public sealed class PointPredictor : IWorkloadPredictor, ITrainable
{
    private readonly IRateForecaster _forecaster;
    private readonly TimeSpan _interval;
    private readonly IntervalBuilder _builder;

    /// <summary>A predictor.</summary>
    /// <param name="forecaster">Forecasts the intervals: for MArk's, the LSTM of <c>MArk.Serving.TorchSharp</c>.</param>
    /// <param name="interval">How long an interval is, as the forecaster was made for; more than zero.</param>
    public PointPredictor(IRateForecaster forecaster, TimeSpan interval)
    {
        ArgumentNullException.ThrowIfNull(forecaster);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(interval, TimeSpan.Zero);
        _forecaster = forecaster;
        _interval = interval;
        _builder = new IntervalBuilder(interval, interval);
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidArrivalSampleException">The sample is longer than an interval, older than one before or overlaps it, or has values that no slot has.</exception>
    public void Observe(in ArrivalSample sample)
    {
        if (sample.Length > _interval)
        {
            throw new InvalidArrivalSampleException(sample, FormattableString.Invariant($"samples are at most {_interval.TotalSeconds} s long, as the intervals that are forecast."));
        }
        _builder.Add(sample);
        while (_builder.TryTake(out var interval))
        {
            _forecaster.Observe(new DateTimeOffset(interval.Start, TimeSpan.Zero), interval.Peak);
        }
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">The buffer's steps are not as long as the intervals.</exception>
    public void Forecast(WorkloadForecast forecast)
    {
        ArgumentNullException.ThrowIfNull(forecast);
        if (forecast.Step != _interval)
        {
            throw new ArgumentOutOfRangeException(nameof(forecast), forecast.Step, $"The steps of the buffer must be as long as the intervals that are forecast, {_interval}.");
        }
        _forecaster.Forecast(forecast.Start, forecast.Peak);
        forecast.Peak.CopyTo(forecast.Mean);
        for (var level = 0; level < forecast.Levels.Length; level++)
        {
            forecast.Peak.CopyTo(forecast.Quantile(level));
        }
    }

    /// <summary>The forecaster's training, if it is <see cref="ITrainable"/> and any is due.</summary>
    /// <returns>The job; <see langword="null"/> if none is due.</returns>
    public ITrainingJob? TakeTrainingJob() => (_forecaster as ITrainable)?.TakeTrainingJob();
}
