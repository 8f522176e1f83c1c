namespace MArk.Serving;

/// <summary>The last times of batches of one size, and what they say: robust against single outliers, and forgotten when they are old.</summary>
internal sealed class RecentTimes
{
    private const int Capacity = 64;

    // What is above this share of the times counts neither for nor against the mean: a pause of the machine says nothing of the batch.
    private const double Trim = 0.9;

    private readonly long[] _ticks = new long[Capacity];
    private int _next;
    private bool _isStale;

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>When the last one was added, in observations of the whole profile.</summary>
    public long LastSeen { get; private set; }

    /// <summary>The mean of all but the highest tenth, ticks.</summary>
    public double Mean { get; private set; }

    /// <summary>The quantile that <see cref="LatencyProfile.High"/> tracks, ticks.</summary>
    public double High { get; private set; }

    public void Add(long ticks, long clock)
    {
        _ticks[_next] = ticks;
        _next = (_next + 1) % Capacity;
        Count = Math.Min(Count + 1, Capacity);
        LastSeen = clock;
        _isStale = true;
    }

    public void Forget()
    {
        Count = 0;
        _next = 0;
    }

    /// <summary>Works out <see cref="Mean"/> and <see cref="High"/>.</summary>
    public void Refresh()
    {
        if (!_isStale || Count == 0)
        {
            return;
        }
        _isStale = false;
        Span<long> sorted = stackalloc long[Capacity];
        sorted = sorted[..Count];
        _ticks.AsSpan(0, Count).CopyTo(sorted);
        sorted.Sort();
        var kept = Math.Max(1, (int)(Trim * Count));
        var sum = 0.0;
        foreach (var t in sorted[..kept])
        {
            sum += t;
        }
        Mean = sum / kept;
        High = Math.Max(Mean, sorted[(int)Math.Ceiling(LatencyProfile.HighQuantile * Count) - 1]);
    }

    /// <summary>The median of the last ones, ticks.</summary>
    /// <param name="count">How many; from 1 to <see cref="Count"/>.</param>
    public double MedianOfLast(int count)
    {
        Span<long> sorted = stackalloc long[Capacity];
        sorted = sorted[..count];
        for (var i = 0; i < count; i++)
        {
            sorted[i] = _ticks[(_next - 1 - i + Capacity) % Capacity];
        }
        return Median(sorted);
    }

    /// <summary>The median of all and one more, ticks.</summary>
    /// <param name="ticks">That one.</param>
    public double MedianWith(long ticks)
    {
        Span<long> sorted = stackalloc long[Capacity + 1];
        sorted = sorted[..(Count + 1)];
        _ticks.AsSpan(0, Count).CopyTo(sorted);
        sorted[Count] = ticks;
        return Median(sorted);
    }

    private static double Median(Span<long> values)
    {
        values.Sort();
        return (values[values.Length / 2] + values[(values.Length - 1) / 2]) / 2.0;
    }

    public RecentTimes Clone()
    {
        var copy = new RecentTimes { Count = Count, LastSeen = LastSeen, Mean = Mean, High = High, _next = _next, _isStale = _isStale };
        _ticks.CopyTo(copy._ticks, 0);
        return copy;
    }
}
