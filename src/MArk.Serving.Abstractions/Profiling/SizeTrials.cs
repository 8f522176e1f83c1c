namespace MArk.Serving;

/// <summary>
/// Compares batch sizes on a machine whose speed changes from moment to moment: what batches of a size took is told by what those of the usual size took right before them, and a size that might
/// serve as fast as the fastest is run between them for a while now and again.
/// </summary>
/// <remarks>
/// Two sizes that were seen at different times tell the machine's speed and not theirs. A batch that follows others of another size tells what the caches still hold of those: on one machine batches of 16
/// took a quarter longer right after some of 32 than after eight of their own, and served faster than 32 only then. So several of a size run in a row, of which the first are not counted. The usual size is the one that
/// ran most of late; how long it takes is the pace, and the times of other sizes are kept as they would have been at a normal pace.
/// </remarks>
internal sealed class SizeTrials
{
    // A batch is counted where so many of its size ran right before it; so many of the usual size tell the pace, and so many after them one comparison.
    private const int Settling = 8;
    private const int EnoughForPace = 8;
    private const int ToCompare = 8;

    // So many comparisons say what a size takes, with what was measured at first; so many without it; and at most the last of five trials.
    private const int FewToCompare = RowsToGiveUp;
    private const int EnoughToCompare = RowsOfTrial;
    private const int MostCompared = 5 * RowsOfTrial;

    // By so many more than others a size is the usual one for certain, and at most.
    private const int ClearMajority = 8;
    private const int MostVotes = 64;

    // In a trial rows of the size on trial take turns with three times as many batches of the usual one, so that what serves slower hardly slows anything down; with more where comparisons have shown
    // it to be slower, so that hardly more than one request in a hundred is served less meanwhile: under a load close to the capacity those would be late.
    private const int Row = Settling + ToCompare;
    private const int Turn = 4 * Row;
    private const int LongestTurn = 16 * Row;
    private const double MaxLossMeanwhile = 0.01;
    private const int RowsOfTrial = 8;
    private const int RowsToGiveUp = 3;

    // What was seen so often within so many batches without a trial needs none, and what was seen before says less of a size than what was measured at first.
    private const int Plenty = 8;
    private const int Lately = 256;

    // A trial is followed by so many times as long without one that it costs three requests in a thousand, where the size is slower; within bounds, as that is not known for certain.
    private const double MaxLoss = 0.003;
    private const double ShortestPause = 8;
    private const double LongestPause = 64;
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
    private readonly int[] _inVain;     // how many of a size's last trials compared next to nothing
    private readonly Sightings[] _seen;
    private readonly RecentTimes _pace;
    private readonly RecentTimes _row;      // of another size than the usual one, settled, in a row
    private int _last = -1;
    private int _inRow;
    private int _votes;
    private double _usualNormal;
    private long _nextTrial;
    private int _batchesInTrial;
    private int _comparedInTrial;
    private int _turn = Turn;       // of the trial

    /// <param name="sizes">The sizes; they are told by their index.</param>
    public SizeTrials(int[] sizes)
    {
        _sizes = sizes;
        _normal = new RecentTimes?[sizes.Length];
        _lastTried = new long[sizes.Length];
        _inVain = new int[sizes.Length];
        _seen = new Sightings[sizes.Length];
        _pace = new RecentTimes();
        _row = new RecentTimes();
    }

    private SizeTrials(SizeTrials other)
    {
        _sizes = other._sizes;
        _normal = Array.ConvertAll(other._normal, times => times?.Clone());
        _lastTried = [.. other._lastTried];
        _inVain = [.. other._inVain];
        _seen = [.. other._seen];
        _pace = other._pace.Clone();
        _row = other._row.Clone();
        (Usual, _last, _inRow, _votes, _usualNormal, Clock) = (other.Usual, other._last, other._inRow, other._votes, other._usualNormal, other.Clock);
        (_nextTrial, _batchesInTrial, _comparedInTrial, _turn, OnTrial) = (other._nextTrial, other._batchesInTrial, other._comparedInTrial, other._turn, other.OnTrial);
    }

    /// <summary>The batches that ran.</summary>
    public long Clock { get; private set; }

    /// <summary>The size, by its index, that ran most of late; -1 before the first batch.</summary>
    public int Usual { get; private set; } = -1;

    /// <summary>The size, by its index, that is to be run now and again between batches of the usual one; -1 for none.</summary>
    public int OnTrial { get; private set; } = -1;

    /// <summary>Whether the next batch is to be one of the size on trial, and not of the usual one.</summary>
    public bool IsNext => OnTrial >= 0 && (Clock - _lastTried[OnTrial]) % _turn >= _turn - Row;

    public SizeTrials Clone() => new(this);

    /// <summary>A batch ran.</summary>
    /// <param name="size">The index of its size.</param>
    /// <param name="ticks">How long it took.</param>
    public void Observe(int size, long ticks)
    {
        Clock++;
        _inRow = size == _last ? _inRow + 1 : 1;
        _last = size;
        if (size == OnTrial)
        {
            _batchesInTrial++;
        }
        else
        {
            _seen[size].Add(Clock);
        }
        if (size == Usual)
        {
            _votes = Math.Min(_votes + 1, MostVotes);
            if (_inRow > Settling)
            {
                _pace.Add(ticks, Clock);
            }
            return;
        }
        Compare(size, ticks);
        if (--_votes < 0)
        {
            MakeUsual(size);
        }
    }

    /// <summary>Whether a size was seen often of late, and not because it was on trial.</summary>
    /// <param name="size">The index of the size.</param>
    public bool IsSeenLately(int size) => Clock - _seen[size].Last <= Lately;

    /// <summary>What a batch of a size takes for each time unit that one of the usual size takes.</summary>
    /// <param name="size">The index of the size.</param>
    /// <param name="atFirst">The ratio as it was measured at first, which counts as one comparison while there are few; 0 if it was not.</param>
    /// <returns>The ratio; 0 if they were not compared, or the size was seen often since.</returns>
    public double RatioToUsual(int size, double atFirst)
    {
        if (size == Usual)
        {
            return 1;
        }
        if (_normal[size] is not { Count: >= FewToCompare } times || (IsSeenLately(size) && _seen[size].Last > times.LastSeen + LongestTurn))
        {
            return 0;
        }
        if (times.Count >= EnoughToCompare)
        {
            return Normal(times) / _usualNormal;
        }
        return atFirst > 0 ? times.MedianWith((long)(atFirst * _usualNormal)) / _usualNormal : 0;
    }

    /// <summary>Begins a trial if it is time for one, and ends one that has run enough.</summary>
    /// <param name="rates">What each size is believed to serve.</param>
    public void Update(ReadOnlySpan<double> rates)
    {
        if (Usual < 0)
        {
            return;
        }
        if (OnTrial >= 0 && IsOver(Clock - _lastTried[OnTrial], rates[OnTrial] < MightBeFastest * rates[Usual]))
        {
            // One that did not come up, as fewer wait or time is short, has cost nothing, as far as is known.
            // What was hardly compared, as rows were broken off, is not known to be slow, and tried again soon, but later each time.
            var isCompared = _normal[OnTrial] is { Count: >= FewToCompare };
            _inVain[OnTrial] = isCompared ? 0 : Math.Min(_inVain[OnTrial] + 1, 4);
            var pause = isCompared ? Math.Clamp((1 - rates[OnTrial] / rates[Usual]) / MaxLoss, ShortestPause, LongestPause) : ShortestPause * (1 << (_inVain[OnTrial] - 1));
            var timeOverUsual = _sizes[OnTrial] / rates[OnTrial] * rates[Usual] / _sizes[Usual];
            _nextTrial = Clock + Math.Max(PauseWhereNotTried * (Clock - _lastTried[OnTrial]) * Turn / _turn, (long)(pause * _batchesInTrial * timeOverUsual));
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
            var since = Clock - _lastTried[i];
            var isKnown = _normal[i] is { Count: > 0 } times && Clock - times.LastSeen < LongAgo;
            // What is faster than the usual one by far, so that this ran for want of requests, is run when there are enough.
            if (i == Usual || IsSeenLately(i) || rates[Usual] < MightBeFastest * rates[i] || rates[i] < (isKnown ? MightBeFastest : MightBeFastestForAllWeKnow) * fastest)
            {
                continue;
            }
            // First those that never were on trial, of them the one that promises most; then the one that was on trial longest ago.
            var merit = _lastTried[i] > 0 ? since / (1.0 + Clock) : 1 + rates[i] / fastest;
            if (merit > most)
            {
                (OnTrial, most) = (i, merit);
            }
        }
        if (OnTrial >= 0)
        {
            (_lastTried[OnTrial], _batchesInTrial, _comparedInTrial) = (Clock, 0, 0);
            _turn = _normal[OnTrial] is { Count: >= FewToCompare } ? (int)Math.Clamp(Row * (1 - rates[OnTrial] / rates[Usual]) / MaxLossMeanwhile, Turn, LongestTurn) : Turn;
        }
    }

    /// <summary>Nothing that was seen counts any longer.</summary>
    public void Forget()
    {
        foreach (var times in _normal)
        {
            times?.Forget();
        }
        Array.Fill(_seen, new Sightings(Clock));
        _pace.Forget();
        _row.Forget();
        (Usual, _last, _votes, OnTrial) = (-1, -1, 0, -1);
    }

    private static double Normal(RecentTimes times) => times.MedianOfLast(Math.Min(times.Count, MostCompared));

    /// <summary>Whether a trial has run all its rows, came up less than half as often as it might, or serves less by far: after one row, where that was believed before.</summary>
    private bool IsOver(long batches, bool isAsBelieved) => batches >= RowsOfTrial * _turn || batches >= _turn * (1 + _batchesInTrial / (Row / 2))
        || (_comparedInTrial >= (isAsBelieved ? 1 : RowsToGiveUp) && IsSlowerByFar(OnTrial));

    private bool IsSlowerByFar(int size) => _normal[size] is { } times
        && _sizes[size] * _usualNormal < MightBeFastest * _sizes[Usual] * times.MedianOfLast(Math.Min(times.Count, _comparedInTrial));

    /// <summary>Counts a batch of another size than the usual one, and compares the row that it completes with those of the usual size before it.</summary>
    private void Compare(int size, long ticks)
    {
        if (_inRow <= Settling)
        {
            _row.Forget();
            return;
        }
        _row.Add(ticks, Clock);
        if (_inRow == Row && _votes >= ClearMajority && _pace.Count >= EnoughForPace && Clock - _pace.LastSeen <= Turn)
        {
            var ratio = _row.MedianOfLast(ToCompare) / _pace.MedianOfLast(EnoughForPace);
            (_normal[size] ??= new RecentTimes()).Add((long)Math.Max(1, ratio * _usualNormal), Clock);
            _comparedInTrial += size == OnTrial ? 1 : 0;
        }
    }

    private void MakeUsual(int size)
    {
        var normal = Unit;
        if (_normal[size] is { Count: >= FewToCompare } times)
        {
            normal = Normal(times);
            // Of the one before no more is known than of the one that takes its place.
            var before = _normal[Usual] ??= new RecentTimes();
            before.Forget();
            for (var i = 0; i < Math.Min(times.Count, EnoughToCompare); i++)
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
        (Usual, _votes, _usualNormal) = (size, 1, normal);
        OnTrial = OnTrial == size ? -1 : OnTrial;
    }

    /// <summary>When a size was last seen often; at first, and when all is forgotten, none is to be tried at once.</summary>
    private struct Sightings(long last)
    {
        private long _first;
        private int _count;

        /// <summary>When it was last seen often, in batches.</summary>
        public long Last { get; private set; } = last;

        public void Add(long clock)
        {
            if (_count == 0 || clock - _first > Lately)
            {
                (_first, _count) = (clock, 0);
            }
            if (++_count == Plenty)
            {
                (Last, _count) = (clock, 0);
            }
        }
    }
}
