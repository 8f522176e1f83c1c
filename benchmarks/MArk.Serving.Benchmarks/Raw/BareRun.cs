using System.Diagnostics;

namespace MArk.Serving.Benchmarks.Raw;

/// <summary>What a bare loop did, batch by batch: how fast the machine was, on the whole and from one moment to the next.</summary>
internal sealed class BareRun
{
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
    /// The share of these arrivals that an ideal server would have answered within an objective in the loop's place: one that has done as much as the loop at every moment, but with single requests instead
    /// of batches, and knows what is to come. Every instant at which a request is done goes to the oldest that is there and still in time; points are so matched to intervals of the same length
    /// in order, and no other matching is greater. What arrives too late to be seen to its deadline is not counted.
    /// </summary>
    /// <param name="due">When the requests arrive, in ticks of <see cref="Stopwatch"/> from the start, in order.</param>
    /// <param name="slo">The objective.</param>
    public double IdealShare(ReadOnlySpan<long> due, TimeSpan slo)
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

    // A batch's requests one after the other, evenly over its time.
    private static IEnumerable<long> OneByOne(long begun, long done, int batch) => Enumerable.Range(1, batch).Select(k => begun + (done - begun) * k / batch);
}
