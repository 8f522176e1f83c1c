namespace MArk.Serving.Benchmarks.Load;

/// <summary>A run between two measurements of the capacity.</summary>
/// <param name="Value">What was measured.</param>
/// <param name="Capacity">The mean of the capacity before and after, requests per second.</param>
/// <param name="After">The capacity after.</param>
/// <param name="Drift">How far the second was from the first.</param>
/// <param name="Settled">Whether it drifted less than is allowed.</param>
internal sealed record SettledRun<T>(T Value, double Capacity, double After, double Drift, bool Settled)
{
    private const double MaxDrift = 0.02;

    /// <summary>Repeats a run whose capacity drifted, and gives the last one when it never settles.</summary>
    /// <param name="capacity">Measures the capacity.</param>
    /// <param name="run">Makes the run.</param>
    /// <param name="maxAttempts">How often at most.</param>
    /// <param name="last">The capacity after the run just before, if there was one under the same load: it is the one before this.</param>
    public static async Task<SettledRun<T>> MeasureAsync(Func<Task<double>> capacity, Func<Task<T>> run, int maxAttempts, double? last = null)
    {
        var before = last ?? await capacity();
        for (var attempt = 1; ; attempt++)
        {
            var value = await run();
            var after = await capacity();
            var drift = Math.Abs(after / before - 1);
            if (drift <= MaxDrift || attempt == maxAttempts)
            {
                return new SettledRun<T>(value, (before + after) / 2, after, drift, drift <= MaxDrift);
            }
            before = after;
        }
    }
}
