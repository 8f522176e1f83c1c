using System.Diagnostics;
using MArk.Serving.Benchmarks.Load;

namespace MArk.Serving.Benchmarks.Raw;

/// <summary>What a bare loop did, batch by batch: how fast the machine was, on the whole and from one moment to the next.</summary>
internal sealed class BareRun
{
    private const int BisectionSteps = 10;

    private readonly long[] _done;      // when each request was done, in ticks of Stopwatch from the start, in order
    private readonly long _end;

    /// <param name="batch">The size of every batch.</param>
    /// <param name="loops">Of each thread, when its first batch began and when each was done, timestamps of <see cref="Stopwatch"/>.</param>
    public BareRun(int batch, params IReadOnlyList<IReadOnlyList<long>> loops)
    {
        Rate = loops.Sum(times => (times.Count - 1) * batch / Stopwatch.GetElapsedTime(times[0], times[^1]).TotalSeconds);
        var start = loops.Min(times => times[0]);
        _end = loops.Max(times => times[^1]) - start;
        _done = [.. loops.SelectMany(times => Enumerable.Range(1, times.Count - 1).SelectMany(i => OneByOne(times[i - 1] - start, times[i] - start, batch))).Order()];
    }

    /// <summary>Requests per second.</summary>
    public double Rate { get; }

    /// <summary>
    /// The share of these arrivals that could be answered within an objective at most, by whoever serves at the speed the loop had from moment to moment and knows what is to come: with every instant
    /// at which a request could be done given to the oldest that is there and in time. (Points are matched to intervals of the same length in order: none matches more.)
    /// What arrives too late to be seen to its deadline is not counted.
    /// </summary>
    /// <param name="due">When the requests arrive, in ticks of <see cref="Stopwatch"/> from the start, in order.</param>
    /// <param name="slo">The objective.</param>
    public double Ceiling(ReadOnlySpan<long> due, TimeSpan slo)
    {
        var limit = (long)(slo.TotalSeconds * Stopwatch.Frequency);
        var (offered, good, next) = (0, 0, 0);
        foreach (var arrival in due)
        {
            if (arrival + limit > _end)
            {
                break;
            }
            offered++;
            while (next < _done.Length && _done[next] < arrival)
            {
                next++;
            }
            if (next < _done.Length && _done[next] <= arrival + limit)
            {
                good++;
                next++;
            }
        }
        return offered == 0 ? 1 : (double)good / offered;
    }

    /// <summary>The highest Poisson rate, requests per second, of which a share could be answered within an objective by whoever serves so, as far as the run is long enough to tell.</summary>
    public double HighestRate(double share, TimeSpan slo, double most, int seed)
    {
        double low = 0, high = most;
        for (var step = 0; step < BisectionSteps; step++)
        {
            var rate = (low + high) / 2;
            (low, high) = Ceiling(new PoissonArrivals(rate, 0, Stopwatch.GetElapsedTime(0, _end).TotalSeconds, seed).Due, slo) >= share ? (rate, high) : (low, rate);
        }
        return low;
    }

    // A batch's requests one after the other, evenly over its time: no batch answers sooner.
    private static IEnumerable<long> OneByOne(long begun, long done, int batch) => Enumerable.Range(1, batch).Select(k => begun + (done - begun) * k / batch);
}
