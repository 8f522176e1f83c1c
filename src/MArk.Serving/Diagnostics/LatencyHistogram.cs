using System.Numerics;

namespace MArk.Serving.Diagnostics;

/// <summary>Latencies in buckets of 1/32 of a power of two of microseconds: quantiles within 3 %, in fixed memory. Not thread-safe.</summary>
internal sealed class LatencyHistogram
{
    private const int SubBits = 5;
    private readonly long[] _counts = new long[64 << SubBits];

    public long Count { get; private set; }

    public void Add(TimeSpan latency)
    {
        _counts[Bucket(Math.Max(0, latency.Ticks / TimeSpan.TicksPerMicrosecond))]++;
        Count++;
    }

    public void CopyTo(LatencyHistogram other)
    {
        _counts.CopyTo(other._counts, 0);
        other.Count = Count;
    }

    /// <summary>What was added since an earlier copy.</summary>
    public LatencyHistogram Minus(LatencyHistogram earlier)
    {
        var difference = new LatencyHistogram { Count = Count - earlier.Count };
        for (var i = 0; i < _counts.Length; i++)
        {
            difference._counts[i] = _counts[i] - earlier._counts[i];
        }
        return difference;
    }

    /// <summary>The latency that a share of all stays at or below; zero if there is none.</summary>
    public TimeSpan Quantile(double share)
    {
        var rank = (long)Math.Ceiling(share * Count);
        var seen = 0L;
        for (var i = 0; i < _counts.Length && Count > 0; i++)
        {
            seen += _counts[i];
            if (seen >= Math.Max(1, rank))
            {
                return TimeSpan.FromMicroseconds(UpperEnd(i));
            }
        }
        return TimeSpan.Zero;
    }

    /// <summary>For each latency that occurred, as near as it is known, the share of all that took longer; ascending.</summary>
    public IEnumerable<(TimeSpan Latency, double ShareAbove)> Tail()
    {
        var seen = 0L;
        for (var i = 0; i < _counts.Length; i++)
        {
            if (_counts[i] > 0)
            {
                seen += _counts[i];
                yield return (TimeSpan.FromMicroseconds(UpperEnd(i)), (double)(Count - seen) / Count);
            }
        }
    }

    private static int Bucket(long microseconds)
    {
        if (microseconds < 1 << SubBits)
        {
            return (int)microseconds;
        }
        var shift = BitOperations.Log2((ulong)microseconds) - SubBits;
        return ((shift + 1) << SubBits) + (int)((microseconds >> shift) - (1 << SubBits));
    }

    private static double UpperEnd(int bucket)
    {
        if (bucket < 1 << SubBits)
        {
            return bucket;
        }
        var shift = (bucket >> SubBits) - 1;
        return (double)(((bucket & ((1 << SubBits) - 1)) + (1 << SubBits) + 1L) << shift) - 1;
    }
}
