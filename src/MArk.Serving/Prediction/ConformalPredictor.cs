namespace MArk.Serving.Prediction;

/// <summary>
/// Makes a distribution of a point forecaster's answers: around each lie the residuals that its forecasts of that distance had of late, read at levels that
/// are adapted online, so that a quantile covers as many samples as it says whatever the forecaster and however the level changes (adaptive conformal inference:
/// Gibbs and Candès, NeurIPS 2021). The samples are those within an interval, so how they scatter around its mean counts.
/// </summary>
public sealed class ConformalPredictor : IWorkloadPredictor, ITrainable, IHistoryLearner
{
    private readonly ConformalCore _core;

    /// <summary>A predictor.</summary>
    /// <param name="createForecaster">Makes the forecaster of intervals of a length: at once, and again if the samples turn out to have another.</param>
    /// <param name="options">Intervals, horizon, time zone; the defaults if <see langword="null"/>.</param>
    /// <param name="answersSurges">
    /// Whether a forecast is moved towards the last interval, or what was counted of the one under way, when that lies far from it; what the forecaster alone would say if not.
    /// </param>
    public ConformalPredictor(Func<TimeSpan, IRateForecaster> createForecaster, PredictorOptions? options = null, bool answersSurges = true)
    {
        ArgumentNullException.ThrowIfNull(createForecaster);
        _core = new ConformalCore(createForecaster, options ?? new PredictorOptions(), answersSurges);
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidArrivalSampleException">The sample is older than one before or overlaps it, or has values that no slot has.</exception>
    /// <exception cref="ServingException">The forecaster answered with something that is no rate.</exception>
    public void Observe(in ArrivalSample sample) => _core.Observe(sample);

    void IHistoryLearner.BeginHistory(IReadOnlyList<ArrivalSample> past) => _core.BeginHistory(past);

    void IHistoryLearner.EndHistory() => _core.EndHistory();

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">The buffer's horizon is longer than <see cref="PredictorOptions.Horizon"/> intervals.</exception>
    public void Forecast(WorkloadForecast forecast) => _core.Forecast(forecast);

    /// <summary>The forecaster's training, if it is <see cref="ITrainable"/> and any is due.</summary>
    /// <returns>The job; <see langword="null"/> if none is due.</returns>
    public ITrainingJob? TakeTrainingJob() => _core.TakeTrainingJob();
}
