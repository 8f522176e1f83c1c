namespace MArk.Serving.Prediction;

/// <summary>The standard normal distribution.</summary>
internal static class NormalDistribution
{
    /// <summary>The value that is not exceeded with a probability between 0 and 1 exclusive. Abramowitz and Stegun, 26.2.23; off by less than 0.00045.</summary>
    public static double Quantile(double probability)
    {
        var tail = Math.Min(probability, 1 - probability);
        var t = Math.Sqrt(-2 * Math.Log(tail));
        var value = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
        return probability < 0.5 ? -value : value;
    }
}
