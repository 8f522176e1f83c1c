namespace MArk.Serving.Benchmarks.Load;

/// <summary>A run between two measurements of the capacity.</summary>
/// <param name="Value">What was measured.</param>
/// <param name="Capacity">The mean of the capacity before and after, requests per second.</param>
/// <param name="Drift">How far the second was from the first.</param>
/// <param name="Settled">Whether it drifted less than is allowed.</param>
internal sealed record SettledRun<T>(T Value, double Capacity, double Drift, bool Settled)
{
    private const double MaxDrift = 0.02;

    /// <summary>Repeats a run whose capacity drifted, and gives the last one when it never settles.</summary>
    public static async Task<SettledRun<T>> MeasureAsync(Func<Task<double>> capacity, Func<Task<T>> run, int maxAttempts)
    {
        var before = await capacity();
        for (var attempt = 1; ; attempt++)
        {
            var value = await run();
            var after = await capacity();
            var drift = Math.Abs(after / before - 1);
            if (drift <= MaxDrift || attempt == maxAttempts)
            {
                return new SettledRun<T>(value, (before + after) / 2, drift, drift <= MaxDrift);
            }
            before = after;
        }
    }
}
