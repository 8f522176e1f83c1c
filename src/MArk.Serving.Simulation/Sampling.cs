namespace MArk.Serving.Simulation;

/// <summary>Draws from distributions.</summary>
internal static class Sampling
{
    /// <summary>Of mean 0 and variance 1 (Box-Muller).</summary>
    public static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    /// <summary>Of mean 1.</summary>
    public static double Exponential(Random random) => -Math.Log(1 - random.NextDouble());

    /// <summary>Log-normal, of mean 1 and some standard deviation.</summary>
    public static double LogNormal(Random random, double deviation)
    {
        var variance = Math.Log(1 + deviation * deviation);
        return deviation == 0 ? 1 : Math.Exp(Math.Sqrt(variance) * Normal(random) - variance / 2);
    }
}
