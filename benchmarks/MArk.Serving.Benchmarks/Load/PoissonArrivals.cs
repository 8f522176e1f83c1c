using System.Diagnostics;

namespace MArk.Serving.Benchmarks.Load;

/// <summary>The instants of a Poisson process, worked out beforehand; those of the first part are issued but not counted.</summary>
internal sealed class PoissonArrivals
{
    public PoissonArrivals(double ratePerSecond, double warmUpSeconds, double seconds, int seed)
    {
        var random = new Random(seed);
        var due = new List<long>((int)(ratePerSecond * (warmUpSeconds + seconds) * 1.1) + 16);
        for (var at = Gap(random, ratePerSecond); at < warmUpSeconds + seconds; at += Gap(random, ratePerSecond))
        {
            FirstCounted += at < warmUpSeconds ? 1 : 0;
            due.Add((long)(at * Stopwatch.Frequency));
        }
        Due = [.. due];
        CountedSeconds = seconds;
    }

    /// <summary>When each request is due, in ticks of <see cref="Stopwatch"/> from the start.</summary>
    public long[] Due { get; }

    public int FirstCounted { get; }

    public double CountedSeconds { get; }

    private static double Gap(Random random, double rate) => -Math.Log(1 - random.NextDouble()) / rate;
}
