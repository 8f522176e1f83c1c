namespace MArk.Serving.Prediction;

/// <summary>How good quantiles were, now that the samples are known.</summary>
internal static class QuantileScore
{
    /// <summary>
    /// The mean quantile (pinball) loss over samples and levels, and for each level the share of samples that it covers. A sample of 0 under several quantiles
    /// of 0 is covered in part: the lower ones of them would, drawn at random, cover it less often than the highest.
    /// </summary>
    /// <param name="quantiles">At <see cref="ForecastTable.Levels"/>.</param>
    /// <param name="samples">The samples' rates.</param>
    /// <param name="covered">Filled: the share of samples covered at each level.</param>
    /// <returns>The loss, requests per second.</returns>
    public static double Judge(ReadOnlySpan<float> quantiles, ReadOnlySpan<double> samples, Span<double> covered)
    {
        var levels = ForecastTable.Levels;
        var zeros = 0;
        while (zeros < quantiles.Length && quantiles[zeros] == 0)
        {
            zeros++;
        }
        var loss = 0.0;
        for (var level = 0; level < levels.Length; level++)
        {
            var (quantile, target) = ((double)quantiles[level], levels[level]);
            var (below, sum) = (0.0, 0.0);
            foreach (var sample in samples)
            {
                var over = sample - quantile;
                if (over > 0)
                {
                    sum += target * over;
                }
                else
                {
                    sum -= (1 - target) * over;
                    below += level < zeros && sample == 0 ? target / levels[zeros - 1] : 1;
                }
            }
            covered[level] = below / samples.Length;
            loss += sum;
        }
        return loss / (samples.Length * levels.Length);
    }
}
