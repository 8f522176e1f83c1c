namespace MArk.Serving;

/// <summary>
/// Compares batch sizes on a machine whose speed changes from moment to moment: what a batch took is told by what those of the usual size took right before it, and a size that might
/// serve as fast as the fastest is run between them for a while now and again.
/// </summary>
/// <remarks>
/// Two sizes that were seen at different times tell the machine's speed and not theirs. The usual size is the one that ran most of late; how long it takes is the pace, and the times of other sizes
/// are kept as they would have been at a normal pace.
/// </remarks>
internal sealed class SizeTrials
{
    /// <summary>What was seen within so many batches needs no trial; what was seen before says less of a size than what was measured at first.</summary>
    public const int Lately = 256;

    // So many of the usual size tell the pace, and it is told of a batch that ran so soon after them; so many of another size tell what it takes, and the last two trials of it.
    private const int EnoughForPace = 3;
    private const int SoonAfter = 2;
    private const int EnoughToCompare = 8;
    private const int MostCompared = 2 * BatchesOfTrial;

    // By so many more than others a size is the usual one for certain, and at most.
    private const int ClearMajority = 8;
    private const int MostVotes = 64;

    private const int BatchesOfTrial = 16;
    private const int OneIn = 4;

    // One that comes up less than half as often as it might is given up.
    private const int Patience = 32;

    // A trial is followed by so many times as long without one, so that what it costs, where the size is slower, is next to nothing.
    private const int Pause = 64;
    private const int PauseWhereNotTried = 4;

    // What serves less than this share of the fastest gets none, or hardly ever; what was not compared, or long ago, may be slower than it is believed to be by a warm-up's error.
    private const int LongAgo = 8192;
    private const double MightBeFastest = 0.85;
    private const double MightBeFastestForAllWeKnow = 0.7;

    // What the first usual size takes at a normal pace, in units of no meaning.
    private const double Unit = 1 << 20;

    private readonly int[] _sizes;
    private readonly RecentTimes?[] _normal;
    private readonly long[] _lastTried;
    private readonly RecentTimes _pace;
    private int _votes;
    private int _sinceUsual;
    private double _usualNormal;
    private long _nextTrial;
    private int _batchesInTrial;

    /// <param name="sizes">The sizes; they are told by their index.</param>
    public SizeTrials(int[] sizes)
    {
        _sizes = sizes;
        _normal = new RecentTimes?[sizes.Length];
        _lastTried = new long[sizes.Length];
        _pace = new RecentTimes();
    }

    private SizeTrials(SizeTrials other)
    {
        _sizes = other._sizes;
        _normal = Array.ConvertAll(other._normal, times => times?.Clone());
        _lastTried = [.. other._lastTried];
        _pace = other._pace.Clone();
        (Usual, _votes, _sinceUsual, _usualNormal, Clock) = (other.Usual, other._votes, other._sinceUsual, other._usualNormal, other.Clock);
        (_nextTrial, _batchesInTrial, OnTrial) = (other._nextTrial, other._batchesInTrial, other.OnTrial);
    }

    /// <summary>The batches that ran.</summary>
    public long Clock { get; private set; }

    /// <summary>The size, by its index, that ran most of late; -1 before the first batch.</summary>
    public int Usual { get; private set; } = -1;

    /// <summary>The size, by its index, that is to be run now and again between batches of the usual one; -1 for none.</summary>
    public int OnTrial { get; private set; } = -1;

    /// <summary>Whether the next batch is to be one of the size on trial, and not of the usual one: one in four, so that what serves slower hardly slows anything down.</summary>
    public bool IsNext => Clock % OneIn == OneIn - 1;

    public SizeTrials Clone() => new(this);

    /// <summary>A batch ran.</summary>
    /// <param name="size">The index of its size.</param>
    /// <param name="ticks">How long it took.</param>
    public void Observe(int size, long ticks)
    {
        Clock++;
        _batchesInTrial += size == OnTrial ? 1 : 0;
        if (size == Usual)
        {
            _votes = Math.Min(_votes + 1, MostVotes);
            _sinceUsual = 0;
            _pace.Add(ticks, Clock);
            return;
        }
        if (++_sinceUsual <= SoonAfter && _votes >= ClearMajority && _pace.Count >= EnoughForPace)
        {
            (_normal[size] ??= new RecentTimes()).Add((long)Math.Max(1, ticks * _usualNormal / _pace.MedianOfLast(EnoughForPace)), Clock);
        }
        if (--_votes < 0)
        {
            MakeUsual(size);
        }
    }

    /// <summary>What a batch of a size takes for each time unit that one of the usual size takes.</summary>
    /// <param name="size">The index of the size.</param>
    /// <param name="mostUnseen">How many batches may have run since it was compared.</param>
    /// <returns>The ratio; 0 if they were not compared.</returns>
    public double RatioToUsual(int size, long mostUnseen)
    {
        if (size == Usual)
        {
            return 1;
        }
        if (_normal[size] is not { Count: >= EnoughToCompare } times || Clock - times.LastSeen > mostUnseen)
        {
            return 0;
        }
        return Normal(times) / _usualNormal;
    }

    /// <summary>Begins a trial if it is time for one, and ends one that has run enough.</summary>
    /// <param name="rates">What each size is believed to serve.</param>
    /// <param name="unseen">How many batches have run since one of each size did.</param>
    public void Update(ReadOnlySpan<double> rates, ReadOnlySpan<long> unseen)
    {
        if (Usual < 0)
        {
            return;
        }
        if (OnTrial >= 0 && (_batchesInTrial >= BatchesOfTrial || Clock - _lastTried[OnTrial] >= Patience + 2 * OneIn * _batchesInTrial))
        {
            // One that did not come up, as fewer wait or time is short, has cost nothing, as far as is known.
            var timeOverUsual = _sizes[OnTrial] / rates[OnTrial] * rates[Usual] / _sizes[Usual];
            _nextTrial = Clock + Math.Max(PauseWhereNotTried * (Clock - _lastTried[OnTrial]), (long)(Pause * _batchesInTrial * Math.Max(1, timeOverUsual)));
            OnTrial = -1;
        }
        if (OnTrial >= 0 || Clock < _nextTrial)
        {
            return;
        }
        var fastest = 0.0;
        foreach (var rate in rates[..(Usual + 1)])
        {
            fastest = Math.Max(fastest, rate);
        }
        var most = 0.0;
        for (var i = 0; i < rates.Length; i++)
        {
            // Nothing is known of whether larger ones come up.
            fastest = i <= Usual ? fastest : Math.Max(fastest, rates[i]);
            var since = Math.Min(unseen[i], Clock - _lastTried[i]);
            var isKnown = _normal[i]?.Count >= EnoughToCompare && since < LongAgo;
            if (i == Usual || since <= Lately || rates[i] < (isKnown ? MightBeFastest : MightBeFastestForAllWeKnow) * fastest)
            {
                continue;
            }
            // First those that never were on trial, of them the one that promises most; then the one that was seen or on trial longest ago.
            var merit = _lastTried[i] > 0 ? since / (1.0 + Clock) : 1 + rates[i] / fastest;
            if (merit > most)
            {
                (OnTrial, most) = (i, merit);
            }
        }
        if (OnTrial >= 0)
        {
            (_lastTried[OnTrial], _batchesInTrial) = (Clock, 0);
        }
    }

    /// <summary>Nothing that was seen counts any longer.</summary>
    public void Forget()
    {
        foreach (var times in _normal)
        {
            times?.Forget();
        }
        _pace.Forget();
        (Usual, _votes, OnTrial) = (-1, 0, -1);
    }

    private static double Normal(RecentTimes times) => times.MedianOfLast(Math.Min(times.Count, MostCompared));

    private void MakeUsual(int size)
    {
        var normal = Unit;
        if (_normal[size] is { Count: >= EnoughToCompare } times)
        {
            normal = Normal(times);
            var before = _normal[Usual] ??= new RecentTimes();
            before.Forget();
            for (var i = 0; i < EnoughToCompare; i++)
            {
                before.Add((long)Math.Max(1, _usualNormal), Clock);
            }
            _pace.Forget();
        }
        else
        {
            // Nothing says how it compares with the others.
            Forget();
        }
        (Usual, _votes, _sinceUsual, _usualNormal) = (size, 1, 0, normal);
    }
}
