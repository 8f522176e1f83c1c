using System.Diagnostics;

namespace MArk.Serving.Benchmarks.Load;

/// <summary>What became of each request of one run, by the benchmark's own clock, from the instant it was due.</summary>
internal sealed class LatencyLog(PoissonArrivals arrivals)
{
    private const long Unanswered = 0;
    private const long Refused = -1;

    private readonly long[] _latencies = new long[arrivals.Due.Length];
    private readonly long[] _lateness = new long[arrivals.Due.Length];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _start;
    private int _left = arrivals.Due.Length;

    public int Count => _latencies.Length;

    public int Left => Volatile.Read(ref _left);

    /// <summary>When every request has ended, one way or another.</summary>
    public Task Ended => _ended.Task;

    public void Start(long timestamp)
    {
        _start = timestamp;
        if (Count == 0)
        {
            _ended.SetResult();
        }
    }

    public long DueAt(int index) => _start + arrivals.Due[index];

    public void Issued(int index, long timestamp) => _lateness[index] = timestamp - DueAt(index);

    public void End(int index, bool succeeded, long timestamp)
    {
        _latencies[index] = succeeded ? Math.Max(1, timestamp - DueAt(index)) : Refused;
        if (Interlocked.Decrement(ref _left) == 0)
        {
            _ended.TrySetResult();
        }
    }

    /// <summary>What is known now. A request that still waits has its time so far, which is beyond the objective.</summary>
    public LoadResult Summarize(TimeSpan slo)
    {
        var now = Stopwatch.GetTimestamp();
        var limit = (long)(slo.TotalSeconds * Stopwatch.Frequency);
        var first = arrivals.FirstCounted;
        var answered = new List<long>(Count - first);
        int good = 0, refused = 0;
        for (var i = first; i < Count; i++)
        {
            var latency = Volatile.Read(ref _latencies[i]);
            if (latency == Refused)
            {
                refused++;
                continue;
            }
            good += latency > 0 && latency <= limit ? 1 : 0;
            answered.Add(latency == Unanswered ? now - DueAt(i) : latency);
        }
        answered.Sort();
        var lateness = _lateness.AsSpan(first).ToArray();
        Array.Sort(lateness);
        var sorted = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(answered);
        return new LoadResult
        {
            Offered = Count - first,
            Good = good,
            Refused = refused,
            Seconds = arrivals.CountedSeconds,
            P50Ms = Milliseconds(Statistics.Quantile(sorted, 0.5)),
            P99Ms = Milliseconds(Statistics.Quantile(sorted, 0.99)),
            GeneratorP99Ms = Milliseconds(Statistics.Quantile(lateness, 0.99)),
        };
    }

    /// <summary>How many were refused or failed so far, of all, those that are not counted otherwise too.</summary>
    public int CountRefused() => _latencies.Count(latency => latency == Refused);

    private static double Milliseconds(long ticks) => ticks * 1000.0 / Stopwatch.Frequency;
}
