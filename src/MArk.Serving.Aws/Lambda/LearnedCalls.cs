using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.Aws.Lambda;

/// <summary>What calls of a function took and cost: what a quote is made of, and how many requests share a call. Not thread-safe.</summary>
internal sealed class LearnedCalls
{
    private const int RecentCalls = 64;
    private const int SizeMemory = 8;           // calls, about, that the size in use is a mean of
    private const int RecentColdStarts = 16;
    private const double MiBPerGb = 1024;       // as Lambda bills it
    private const double Fading = 0.995;        // of what a request cost, with each further request

    // Until a start was seen.
    private static readonly TimeSpan AssumedStart = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ForgetAfter = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan ForgetAllAfter = TimeSpan.FromMinutes(5);

    private readonly LambdaSpilloverOptions _options;
    private readonly TimeSpan _maxPackedLatency;
    private readonly TimeProvider _time;
    private readonly TimeSpan[] _recent = new TimeSpan[RecentCalls];
    private readonly Queue<TimeSpan> _coldStarts = new(RecentColdStarts);
    private LatencyProfile _latency;
    private LatencyProfile _billed;
    private int _recentCount;
    private long _lastCall;
    private int _largest;           // the most requests that a call had yet
    private double _size = 1;       // that calls have, lately
    private int _memory;
    private TimeSpan _roundTrip;    // of a call that carried no request
    private TimeSpan _fastest;      // of those that did
    private double _unsettled;      // paid since a request was last answered
    private double _spent;          // before, and for how many requests
    private double _requests;
    private LatencyQuantiles? _warm;

    public LearnedCalls(LambdaSpilloverOptions options, TimeSpan slo, TimeProvider time)
    {
        (_options, _time, _maxPackedLatency, _memory) = (options, time, options.MaxPackedLatency ?? slo / 2, options.MemoryMiB);
        Restart();
    }

    /// <summary>How many requests share a call, lately.</summary>
    public int PackSize => (int)Math.Ceiling(_size - 0.01);

    public LatencyQuantiles Warm
    {
        get
        {
            var warm = _warm ??= MakeWarm();
            // One that is not called because it was slow is given another chance: what was rare is forgotten first, and then all but the fastest.
            var idle = _recentCount == 0 ? TimeSpan.Zero : _time.GetElapsedTime(_lastCall);
            return idle > ForgetAllAfter ? LatencyQuantiles.Constant(_fastest) : idle > ForgetAfter ? LatencyQuantiles.Constant(warm.P50) : warm;
        }
    }

    /// <summary>What requests take that may share calls in such packs.</summary>
    public LatencyQuantiles WarmOf(int size)
    {
        var warm = Warm;
        if (size <= PackSize || !_latency.IsMeasured)
        {
            return warm;
        }
        var (mean, high) = (_latency.Mean(size) + _options.PackWait, _latency.High(size) + _options.PackWait);
        return new LatencyQuantiles(Longer(warm.P50, mean), Longer(warm.P95, high), Longer(warm.P99, high));
    }

    public LatencyQuantiles Cold
    {
        get
        {
            if (_coldStarts.Count == 0)
            {
                var warm = Warm;
                return new LatencyQuantiles(warm.P50 + AssumedStart, warm.P95 + AssumedStart, warm.P99 + AssumedStart);
            }
            TimeSpan[] sorted = [.. _coldStarts.Order()];
            return new LatencyQuantiles(sorted[sorted.Length / 2], sorted[^1], sorted[^1]);
        }
    }

    /// <summary>
    /// What a request costs, US dollars: all that was paid lately, calls that failed and pings too, over the requests that were answered. So what spilled requests are taken to cost adds up to what is
    /// paid, however many share a call.
    /// </summary>
    public decimal PricePerRequest => (decimal)(_requests > 0 ? (_spent + _unsettled) / _requests : _billed.IsMeasured ? PriceOf(1) : PriceOf(_roundTrip));

    /// <summary>How many of some requests should share a call: the fewest for which a request is cheapest, of those that are expected to end soon enough.</summary>
    /// <param name="limit">How many there are, at most.</param>
    public int BestSize(int limit)
    {
        // A size is tried after one of half of it was: what is not known yet looks cheap.
        limit = Math.Min(limit, Math.Min(_options.MaxBatchSize, 2 * _largest));
        var (best, lowest) = (1, PriceOf(1));
        for (var size = 2; size <= limit && _latency.High(size) <= _maxPackedLatency; size++)
        {
            if (PriceOf(size) / size is var price && price < lowest)
            {
                (best, lowest) = (size, price);
            }
        }
        return best;
    }

    /// <summary>Whether a call that failed may be made again, by the time that has gone by.</summary>
    public bool LeavesRoom(int size, TimeSpan elapsed) => elapsed + (size > 0 && _latency.IsMeasured ? _latency.Mean(size) : _roundTrip) <= _maxPackedLatency;

    /// <summary>A call was paid for.</summary>
    public void OnPaid(TimeSpan elapsed, LambdaReport? report)
    {
        _memory = report?.MemoryMiB ?? _memory;
        _unsettled += PriceOf(BilledOf(elapsed, report));
    }

    /// <summary>A call was answered.</summary>
    /// <param name="size">The requests it carried; 0 for one that only asked how the function is.</param>
    /// <param name="elapsed">How long it took.</param>
    /// <param name="isCold">Whether an environment had to start.</param>
    /// <param name="report">What Lambda reports.</param>
    public void OnAnswered(int size, TimeSpan elapsed, bool isCold, LambdaReport? report)
    {
        if (isCold)
        {
            if (_coldStarts.Count == RecentColdStarts)
            {
                _coldStarts.Dequeue();
            }
            _coldStarts.Enqueue(elapsed);
        }
        else if (size == 0)
        {
            _roundTrip = elapsed;
        }
        else
        {
            if (_recentCount > 0 && _time.GetElapsedTime(_lastCall) > ForgetAfter)
            {
                _recentCount = 0;
            }
            _fastest = _fastest > TimeSpan.Zero && _fastest < elapsed ? _fastest : elapsed;
            _latency.Observe(size, elapsed);
            _billed.Observe(size, BilledOf(elapsed, report));
            _recent[_recentCount++ % RecentCalls] = elapsed;
            _lastCall = _time.GetTimestamp();
        }
        if (size > 0)
        {
            _largest = Math.Max(_largest, size);
            _size += (size - _size) / SizeMemory;
            var kept = Math.Pow(Fading, size);
            (_spent, _requests, _unsettled) = (kept * _spent + _unsettled, kept * _requests + size, 0);
        }
        _warm = null;
    }

    /// <summary>Forgets what calls took and cost, but for starts: the first inference of an environment takes longer than those after it, and is no request's.</summary>
    [MemberNotNull(nameof(_latency), nameof(_billed))]
    public void Restart()
    {
        _latency = LatencyProfile.Unmeasured(_options.MaxBatchSize);
        _billed = LatencyProfile.Unmeasured(_options.MaxBatchSize);
        (_recentCount, _fastest, _warm) = (0, default, null);
        (_spent, _requests, _unsettled) = (0, 0, 0);
    }

    private LatencyQuantiles MakeWarm()
    {
        var wait = PackSize > 1 ? _options.PackWait : TimeSpan.Zero;
        var count = Math.Min(_recentCount, RecentCalls);
        if (count == 0)
        {
            return LatencyQuantiles.Constant(_roundTrip + wait);
        }
        // As calls of the sizes in use took it.
        Span<TimeSpan> sorted = stackalloc TimeSpan[count];
        _recent.AsSpan(0, count).CopyTo(sorted);
        sorted.Sort();
        return new LatencyQuantiles(At(sorted, 0.5) + wait, At(sorted, 0.95) + wait, At(sorted, 0.99) + wait);
    }

    private static TimeSpan Longer(TimeSpan a, TimeSpan b) => a > b ? a : b;

    private static TimeSpan At(ReadOnlySpan<TimeSpan> sorted, double quantile) => sorted[(int)Math.Ceiling(quantile * sorted.Length) - 1];

    private double PriceOf(int size) => PriceOf(_billed.Mean(size));

    private double PriceOf(TimeSpan billed) => (double)_options.PricePerCall + (double)_options.PricePerGbSecond * _memory / MiBPerGb * billed.TotalSeconds;

    /// <summary>Lambda bills by the millisecond, rounded up; 1 at least.</summary>
    private static TimeSpan BilledOf(TimeSpan elapsed, LambdaReport? report) => report?.Billed ?? TimeSpan.FromMilliseconds(Math.Max(1, Math.Ceiling(elapsed.TotalMilliseconds)));
}
