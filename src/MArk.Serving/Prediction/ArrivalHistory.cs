namespace MArk.Serving.Prediction;

/// <summary>
/// How many requests a model had, minute by minute and, of what is longer ago, hour by hour: mean and highest slot of each. Bounded memory, about 32 bytes for each;
/// what no longer fits is the oldest, however long ago it was. Time in which nobody counted is not there: a gap is not a zero. Not thread-safe; no clock and no I/O of its own.
/// </summary>
/// <remarks>
/// A minute of which only a part was counted is kept as it is, and goes on being counted if the counting is taken up again within it. It is given out
/// (<see cref="Samples"/>) if at least half of it was counted, its count raised to the whole; otherwise left out. So are hours.
/// </remarks>
public sealed partial class ArrivalHistory
{
    /// <summary>How many minutes are kept unless said otherwise: two weeks of them, 20160.</summary>
    public const int DefaultMaxMinutes = 14 * 24 * 60;

    /// <summary>How many hours are kept, besides, unless said otherwise: 180 days of them, 4320.</summary>
    public const int DefaultMaxHours = 180 * 24;

    private const int MostBuckets = 1_000_000;

    private readonly Queue<Bucket> _hours = new();      // whole hours, all before the first minute
    private readonly Queue<Bucket> _minutes = new();
    private Bucket _open;       // the minute that is counted now; nothing of it was counted while it is default
    private long _end;          // when the last slot ended, UTC ticks

    /// <summary>An empty history.</summary>
    /// <param name="maxMinutes">How many minutes are kept at most: 60 to 1000000.</param>
    /// <param name="maxHours">How many hours are kept at most of what is older than those: 0 to 1000000.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    public ArrivalHistory(int maxMinutes = DefaultMaxMinutes, int maxHours = DefaultMaxHours)
    {
        // Minutes are given up by whole hours, so that the hours never reach into the minutes: one hour must fit.
        ArgumentOutOfRangeException.ThrowIfLessThan(maxMinutes, 60);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxMinutes, MostBuckets);
        ArgumentOutOfRangeException.ThrowIfNegative(maxHours);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxHours, MostBuckets);
        MaxMinutes = maxMinutes;
        MaxHours = maxHours;
    }

    /// <summary>How many minutes are kept at most.</summary>
    public int MaxMinutes { get; }

    /// <summary>How many hours are kept at most of what is older than the minutes.</summary>
    public int MaxHours { get; }

    /// <summary>How many minutes are kept of which anything was counted, the one under way included.</summary>
    public int Minutes => _minutes.Count + (_open.Counted > 0 ? 1 : 0);

    /// <summary>How many hours are kept.</summary>
    public int Hours => _hours.Count;

    /// <summary>When the last slot ended, UTC: the next one may start then or later. <see cref="DateTimeOffset.MinValue"/> if there was none.</summary>
    public DateTimeOffset End => new(_end, TimeSpan.Zero);

    /// <summary>Adds one finished slot. A slot that reaches over several minutes counts for each by its share, and the shares add up exactly.</summary>
    /// <param name="sample">The slot; up to a day long, not before <see cref="End"/>.</param>
    /// <exception cref="InvalidArrivalSampleException">It begins before the last one ended, is of no length or too long, or has a negative count or a peak that is no number. The history is as before.</exception>
    public void Add(in ArrivalSample sample)
    {
        Check(sample);
        var peak = Math.Max(sample.PeakRate, sample.Rate);
        var start = sample.Start.UtcTicks;
        var end = start + sample.Length.Ticks;
        var counted = 0L;
        for (var at = start; at < end;)
        {
            var minute = at / TimeSpan.TicksPerMinute;
            var until = Math.Min(end, (minute + 1) * TimeSpan.TicksPerMinute);
            var upTo = (long)((Int128)sample.Count * (until - start) / (end - start));
            Count(new Bucket(minute, until - at, upTo - counted, upTo > counted ? peak : 0));
            counted = upTo;
            at = until;
        }
        _end = end;
    }

    /// <summary>What is kept, in ascending order: slots of one hour, then slots of one minute, with their highest slot as <see cref="ArrivalSample.PeakRate"/>. Gaps are left out.</summary>
    /// <param name="until">Only slots that ended by then; all if it is not given, also the minute that is not over yet.</param>
    /// <returns>The slots.</returns>
    public IEnumerable<ArrivalSample> Samples(DateTimeOffset? until = null)
    {
        var last = until?.UtcTicks ?? long.MaxValue;
        foreach (var hour in _hours)
        {
            if (hour.TryGive(TimeSpan.TicksPerHour, last, out var sample))
            {
                yield return sample;
            }
        }
        foreach (var minute in _minutes)
        {
            if (minute.TryGive(TimeSpan.TicksPerMinute, last, out var sample))
            {
                yield return sample;
            }
        }
        if (_open.TryGive(TimeSpan.TicksPerMinute, last, out var open))
        {
            yield return open;
        }
    }

    /// <summary>Lets a predictor that knows nothing learn from what is kept: <see cref="Samples"/>, one after the other.</summary>
    /// <remarks>So that a start need not wait for them, built-in predictors judge a part of the forecasts only that they would have made, where the history is longer than half a day.</remarks>
    /// <param name="predictor">The predictor.</param>
    /// <param name="until">Only slots that ended by then, so that slots that begin then or later may follow; all if it is not given.</param>
    public void ReplayInto(IWorkloadPredictor predictor, DateTimeOffset? until = null)
    {
        ArgumentNullException.ThrowIfNull(predictor);
        predictor.ObserveHistory([.. Samples(until)]);
    }

    /// <summary>Takes away what a clock that is right now would not have let be counted yet, down to the minute.</summary>
    /// <param name="now">The instant from which on slots are to come.</param>
    /// <returns>Whether it was more than what there was of the minute of <paramref name="now"/>.</returns>
    internal bool CutAt(DateTimeOffset now)
    {
        if (_end <= now.UtcTicks)
        {
            return false;
        }
        var minute = now.UtcTicks / TimeSpan.TicksPerMinute;
        var isMore = _end > (minute + 1) * TimeSpan.TicksPerMinute;
        Close();
        Keep(_minutes, minute);
        Keep(_hours, minute / 60);
        _end = Math.Min(_end, minute * TimeSpan.TicksPerMinute);
        return isMore;

        static void Keep(Queue<Bucket> buckets, long before)
        {
            for (var i = buckets.Count; i > 0; i--)
            {
                var bucket = buckets.Dequeue();
                if (bucket.Index < before)
                {
                    buckets.Enqueue(bucket);
                }
            }
        }
    }

    /// <summary>Appends what was counted later by another; from its first minute on it goes before what is here.</summary>
    internal void Append(ArrivalHistory later)
    {
        if (later.First is not { } first)
        {
            return;
        }
        CutAt(first);
        Close();
        if (later._hours.Count > 0)
        {
            while (_minutes.Count > 0)
            {
                FoldOldestHour();
            }
        }
        foreach (var hour in later._hours)
        {
            AddHour(hour);
        }
        foreach (var minute in later._minutes)
        {
            Count(minute);
        }
        if (later._open.Counted > 0)
        {
            Count(later._open);
        }
        _end = later._end;
    }

    private DateTimeOffset? First =>
        _hours.TryPeek(out var hour) ? new(hour.Index * TimeSpan.TicksPerHour, TimeSpan.Zero)
        : _minutes.TryPeek(out var minute) ? new(minute.Index * TimeSpan.TicksPerMinute, TimeSpan.Zero)
        : _open.Counted > 0 ? new(_open.Index * TimeSpan.TicksPerMinute, TimeSpan.Zero)
        : null;

    private void Check(in ArrivalSample sample)
    {
        if (sample.Length <= TimeSpan.Zero || sample.Length > TimeSpan.FromDays(1))
        {
            throw new InvalidArrivalSampleException(sample, "a slot has another length; accepted: more than 00:00:00, at most 1.00:00:00.");
        }
        if (sample.Count < 0)
        {
            throw new InvalidArrivalSampleException(sample, FormattableString.Invariant($"a count of {sample.Count}; accepted: 0 or more."));
        }
        if (!double.IsFinite(sample.PeakRate))
        {
            throw new InvalidArrivalSampleException(sample, FormattableString.Invariant($"a peak of {sample.PeakRate} requests/s; accepted is a finite number."));
        }
        if (sample.Start.UtcTicks > DateTimeOffset.MaxValue.UtcTicks - TimeSpan.TicksPerHour - sample.Length.Ticks)
        {
            throw new InvalidArrivalSampleException(sample, "the end of time; accepted: up to the year 9999.");
        }
        if (sample.Start.UtcTicks < _end)
        {
            throw new InvalidArrivalSampleException(sample, FormattableString.Invariant($"it begins before the last one ended; accepted: {End:O} or later."));
        }
    }

    private void Count(in Bucket part)
    {
        if (part.Index != _open.Index)
        {
            Close();
        }
        _open = _open.Counted == 0 ? part : _open.With(part);
    }

    private void Close()
    {
        if (_open.Counted > 0)
        {
            _minutes.Enqueue(_open);
            _open = default;
        }
        // Room for the minute that is opened next. An hour has 60 minutes, so there are later ones than those of the oldest hour, or it is over.
        while (_minutes.Count >= MaxMinutes)
        {
            FoldOldestHour();
        }
    }

    private void FoldOldestHour()
    {
        var first = _minutes.Dequeue();
        var hour = first with { Index = first.Index / 60 };
        while (_minutes.TryPeek(out var minute) && minute.Index / 60 == hour.Index)
        {
            hour = hour.With(_minutes.Dequeue());
        }
        AddHour(hour);
    }

    private void AddHour(in Bucket hour)
    {
        _hours.Enqueue(hour);
        if (_hours.Count > MaxHours)
        {
            _hours.Dequeue();
        }
    }

    /// <summary>A minute or an hour, as far as it was counted.</summary>
    /// <param name="Index">Which: minutes or hours since the year 1, UTC.</param>
    /// <param name="Counted">How much of it was counted, ticks.</param>
    /// <param name="Requests">How many requests arrived while it was.</param>
    /// <param name="Peak">The highest slot's rate, requests per second.</param>
    private readonly record struct Bucket(long Index, long Counted, long Requests, double Peak)
    {
        public Bucket With(in Bucket part) => new(
            Index, Counted + part.Counted, Requests > long.MaxValue - part.Requests ? long.MaxValue : Requests + part.Requests, Math.Max(Peak, part.Peak));

        public bool TryGive(long length, long until, out ArrivalSample sample)
        {
            sample = default;
            if (Counted < length / 2 || (Index + 1) * length > until)
            {
                return false;
            }
            // A double that is too large for a long becomes the largest long.
            var requests = Counted == length ? Requests : (long)Math.Round(Requests * ((double)length / Counted));
            sample = new ArrivalSample(new DateTimeOffset(Index * length, TimeSpan.Zero), new TimeSpan(length), requests);
            sample = sample with { PeakRate = Math.Max(Peak, sample.Rate) };
            return true;
        }
    }
}
