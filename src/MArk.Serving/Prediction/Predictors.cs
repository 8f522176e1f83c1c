using System.Collections.Immutable;

namespace MArk.Serving.Prediction;

/// <summary>The built-in predictors: point forecasters, each with the same conformal residuals around it.</summary>
public static class Predictors
{
    private const int MaximumWindow = 5;

    private static readonly ImmutableSortedDictionary<string, Func<PredictorOptions, IWorkloadPredictor>> ByName =
        ImmutableSortedDictionary.Create<string, Func<PredictorOptions, IWorkloadPredictor>>(StringComparer.Ordinal)
            .Add("auto", o => new AutoPredictor(o))
            .Add("holt-winters", HoltWinters)
            .Add("last-value", LastValue)
            .Add("moving-maximum", MovingMaximum)
            .Add("ridge", Ridge)
            .Add("seasonal-naive", SeasonalNaive);

    /// <summary>The names that <see cref="Create"/> takes.</summary>
    public static IEnumerable<string> Names => ByName.Keys;

    /// <summary>Makes a predictor by its name.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="options">Intervals, horizon, time zone; the defaults if <see langword="null"/>.</param>
    /// <returns>The predictor.</returns>
    /// <exception cref="ServingException">There is none of that name; says which there are.</exception>
    public static IWorkloadPredictor Create(string name, PredictorOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(name);
        return ByName.TryGetValue(name, out var create)
            ? create(options ?? new PredictorOptions())
            : throw new ServingException($"There is no predictor '{name}'; accepted: {string.Join(", ", ByName.Keys)}.");
    }

    /// <summary>What was last, stays.</summary>
    /// <param name="options">Intervals, horizon; the defaults if <see langword="null"/>.</param>
    /// <returns>The predictor.</returns>
    public static IWorkloadPredictor LastValue(PredictorOptions? options = null) => new ConformalPredictor(_ => new LastValueForecaster(), options, answersSurges: false);

    /// <summary>The highest of the last five intervals.</summary>
    /// <param name="options">Intervals, horizon; the defaults if <see langword="null"/>.</param>
    /// <returns>The predictor.</returns>
    public static IWorkloadPredictor MovingMaximum(PredictorOptions? options = null) =>
        new ConformalPredictor(_ => new MovingMaximumForecaster(MaximumWindow), options, answersSurges: false);

    /// <summary>What was at the same time of day before; the last value as long as there is no such day.</summary>
    /// <param name="options">Intervals, horizon, time zone; the defaults if <see langword="null"/>.</param>
    /// <returns>The predictor.</returns>
    public static IWorkloadPredictor SeasonalNaive(PredictorOptions? options = null)
    {
        options ??= new PredictorOptions();
        return new ConformalPredictor(interval => new SeasonalNaiveForecaster(interval, options.TimeZone), options, answersSurges: false);
    }

    /// <summary>Exponential smoothing of level, damped trend, and the seasons of a day and a week, with parameters fitted online.</summary>
    /// <param name="options">Intervals, horizon, time zone; the defaults if <see langword="null"/>.</param>
    /// <returns>The predictor.</returns>
    public static IWorkloadPredictor HoltWinters(PredictorOptions? options = null)
    {
        options ??= new PredictorOptions();
        return new ConformalPredictor(interval => new HoltWintersForecaster(interval, options.TimeZone, options.Horizon), options);
    }

    /// <summary>Autoregression with calendar features, drawn towards the last value by a ridge; one linear model for each distance.</summary>
    /// <param name="options">Intervals, horizon, time zone; the defaults if <see langword="null"/>.</param>
    /// <returns>The predictor.</returns>
    public static IWorkloadPredictor Ridge(PredictorOptions? options = null)
    {
        options ??= new PredictorOptions();
        return new ConformalPredictor(interval => new RidgeForecaster(interval, options.TimeZone, options.Horizon), options);
    }
}
