namespace MArk.Serving.Prediction;

/// <summary>
/// Runs several predictors side by side and mixes their distributions, each weighted by its recent quantile loss at that distance and level. Where the mixture
/// covers more samples than it says, it is narrowed, slowly; it is never made wider than its members say.
/// </summary>
public sealed class AutoPredictor : IWorkloadPredictor, ITrainable, IHistoryLearner
{
    private readonly AutoCore _core;

    /// <summary>A predictor that mixes all built-in ones.</summary>
    /// <param name="options">Intervals, horizon, time zone; the defaults if <see langword="null"/>.</param>
    public AutoPredictor(PredictorOptions? options = null)
        : this(BuiltIn(options ?? new PredictorOptions()), options)
    {
    }

    /// <summary>A predictor that mixes others.</summary>
    /// <param name="members">The others; at least one. They see what this one sees and belong to it.</param>
    /// <param name="options">Intervals, horizon, time zone; the defaults if <see langword="null"/>. Each member must be able to forecast as many intervals.</param>
    /// <exception cref="ArgumentException">There is no member.</exception>
    public AutoPredictor(IEnumerable<IWorkloadPredictor> members, PredictorOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(members);
        IWorkloadPredictor[] all = [.. members];
        if (all.Length == 0)
        {
            throw new ArgumentException("There is no member; at least one is needed.", nameof(members));
        }
        _core = new AutoCore(all, options ?? new PredictorOptions());
    }

    /// <summary>The built-in predictors, to add others to.</summary>
    /// <param name="options">Intervals, horizon, time zone.</param>
    /// <returns>New ones, made by the options.</returns>
    public static IReadOnlyList<IWorkloadPredictor> BuiltIn(PredictorOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return
        [
            Predictors.LastValue(options), Predictors.MovingMaximum(options), Predictors.SeasonalNaive(options), Predictors.HoltWinters(options), Predictors.Ridge(options),
        ];
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidArrivalSampleException">The sample is older than one before or overlaps it, or has values that no slot has.</exception>
    public void Observe(in ArrivalSample sample) => _core.Observe(sample);

    void IHistoryLearner.BeginHistory(IReadOnlyList<ArrivalSample> past) => _core.BeginHistory(past);

    void IHistoryLearner.EndHistory() => _core.EndHistory();

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">The buffer's horizon is longer than <see cref="PredictorOptions.Horizon"/> intervals.</exception>
    public void Forecast(WorkloadForecast forecast) => _core.Forecast(forecast);

    /// <summary>The members' trainings that are due, one after the other.</summary>
    /// <returns>The job; <see langword="null"/> if none is due.</returns>
    public ITrainingJob? TakeTrainingJob() => _core.TakeTrainingJob();
}
