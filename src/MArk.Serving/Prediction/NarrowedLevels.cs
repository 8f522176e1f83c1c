namespace MArk.Serving.Prediction;

/// <summary>
/// The levels at which a mixture's quantiles are read, at each step. The mean of several distributions' quantiles is as wide as they are on the mean, but errs less than
/// they do, so it covers too much; and it keeps whatever width they have too much. So levels are adapted online as in adaptive conformal inference (Gibbs and Candès,
/// NeurIPS 2021), but only ever from what they say towards the median. Wider than the members say they never are: those answer a surprise themselves, and a
/// second answer to the same would stay for hours after each change of the level.
/// </summary>
/// <param name="steps">The steps.</param>
internal sealed class NarrowedLevels(ForecastSteps steps)
{
    private const double Adaptation = 0.002;    // slower than the members' own, so that the two do not answer each other
    private const double AdaptationHalf = 30;   // intervals ahead until half of it: what comes late must be answered slowly, or it swings

    private static readonly int Quantiles = ForecastTable.Levels.Length;

    private readonly double[] _levels = new double[steps.Count * Quantiles];    // [step][level]

    /// <summary>Every level is what it says.</summary>
    public void Clear()
    {
        for (var step = 0; step < steps.Count; step++)
        {
            ForecastTable.Levels.CopyTo(_levels, step * Quantiles);
        }
    }

    /// <summary>Those of a step, to be read in place of <see cref="ForecastTable.Levels"/>.</summary>
    public ReadOnlySpan<double> Of(int step) => _levels.AsSpan(step * Quantiles, Quantiles);

    /// <summary>Learns which share of an interval's samples stayed below each quantile that was given for it.</summary>
    public void Adapt(int step, ReadOnlySpan<double> covered)
    {
        var gain = Adaptation / (1 + (steps[step] - 1) / AdaptationHalf);
        for (var level = 0; level < Quantiles; level++)
        {
            var target = ForecastTable.Levels[level];
            var median = ForecastTable.Levels[ForecastTable.Median];
            ref var read = ref _levels[step * Quantiles + level];
            read = Math.Clamp(read + gain * (target - covered[level]), Math.Min(target, median), Math.Max(target, median));
        }
    }
}
