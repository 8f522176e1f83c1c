namespace MArk.Serving.Benchmarks.Load;

/// <summary>A run between two measurements of the capacity.</summary>
/// <param name="Value">What was measured.</param>
/// <param name="Capacity">The mean of the capacity before and after, requests per second.</param>
/// <param name="After">The capacity after.</param>
/// <param name="Drift">How far the second was from the first.</param>
/// <param name="Settled">Whether it drifted less than is allowed.</param>
internal sealed record SettledRun<T>(T Value, double Capacity, double After, double Drift, bool Settled)
{
    /// <summary>Repeats a run whose capacity drifted, and gives the last one when it never settles.</summary>
    /// <param name="rate">The rate of a run, requests per second, asked for anew each time.</param>
    /// <param name="capacity">Measures the capacity beside a generator of a rate.</param>
    /// <param name="run">Makes the run at a rate.</param>
    /// <param name="maxAttempts">How often at most.</param>
    /// <param name="last">The capacity after the run just before, if there was one under the same load: it is the one before this.</param>
    public static async Task<SettledRun<T>> MeasureAsync(Func<double> rate, Func<double, Task<double>> capacity, Func<double, Task<T>> run, int maxAttempts, double? last = null)
    {
        for (var attempt = 1; ; attempt++)
        {
            var offered = rate();
            var before = last ?? await capacity(offered);
            var value = await run(offered);
            var after = await capacity(offered);
            var drift = Math.Abs(after / before - 1);
            if (drift <= SettledRun.MaxDrift || attempt == maxAttempts)
            {
                return new SettledRun<T>(value, (before + after) / 2, after, drift, drift <= SettledRun.MaxDrift);
            }
            last = after;
        }
    }
}

/// <summary>What all runs have in common.</summary>
internal static class SettledRun
{
    /// <summary>By how much the capacity after a run may differ from that before it.</summary>
    public const double MaxDrift = 0.02;
}
