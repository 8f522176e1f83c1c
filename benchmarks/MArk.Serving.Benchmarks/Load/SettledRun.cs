using MArk.Serving.Benchmarks.Raw;

namespace MArk.Serving.Benchmarks.Load;

/// <summary>A run between two measurements of the capacity.</summary>
/// <param name="Value">What was measured.</param>
/// <param name="Rate">The rate that was offered, requests per second.</param>
/// <param name="Before">The bare loop before the run, beside a generator of that rate, or of that of the run just before: the raw capacity is measured anew in between.</param>
/// <param name="After">The bare loop after the run, beside a generator of that rate.</param>
internal sealed record SettledRun<T>(T Value, double Rate, BareRun Before, BareRun After)
{
    /// <summary>The mean of the capacity before and after, requests per second.</summary>
    public double Capacity => (Before.Rate + After.Rate) / 2;

    /// <summary>How far the capacity after is from that before.</summary>
    public double Drift => SettledRun.Drift(Before.Rate, After.Rate);

    /// <summary>Whether it drifted less than is allowed.</summary>
    public bool Settled => SettledRun.IsSettled(Before.Rate, After.Rate);

    /// <summary>Repeats a run whose capacity drifted, and gives the last one when it never settles.</summary>
    /// <param name="rate">The rate of a run, requests per second, asked for anew each time.</param>
    /// <param name="capacity">Measures the capacity beside a generator of a rate.</param>
    /// <param name="run">Makes the run at a rate.</param>
    /// <param name="maxAttempts">How often at most.</param>
    /// <param name="last">The capacity after the run just before, if there was one under the same load: it is the one before this.</param>
    public static async Task<SettledRun<T>> MeasureAsync(Func<double> rate, Func<double, Task<BareRun>> capacity, Func<double, Task<T>> run, int maxAttempts, BareRun? last = null)
    {
        for (var attempt = 1; ; attempt++)
        {
            var offered = rate();
            var before = last ?? await capacity(offered);
            var made = new SettledRun<T>(await run(offered), offered, before, await capacity(offered));
            if (made.Settled || attempt == maxAttempts)
            {
                return made;
            }
            last = made.After;
        }
    }
}

/// <summary>What all runs have in common.</summary>
internal static class SettledRun
{
    /// <summary>By how much the capacity after a run may differ from that before it.</summary>
    public const double MaxDrift = 0.02;

    /// <summary>How far one capacity is from another before it.</summary>
    public static double Drift(double before, double after) => Math.Abs(after / before - 1);

    /// <summary>Whether that is no more than is allowed.</summary>
    public static bool IsSettled(double before, double after) => Drift(before, after) <= MaxDrift;
}
