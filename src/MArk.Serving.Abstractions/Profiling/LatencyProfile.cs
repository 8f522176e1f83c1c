using System.Text.Json;
using System.Text.Json.Serialization;

namespace MArk.Serving;

/// <summary>One measured batch size.</summary>
/// <param name="BatchSize">Requests in the batch; at least 1.</param>
/// <param name="Mean">The mean time of such a batch.</param>
/// <param name="High">A high percentile of the time of such a batch (<see cref="LatencyProfile.HighQuantile"/>); at least the mean.</param>
public readonly record struct LatencyPoint(int BatchSize, TimeSpan Mean, TimeSpan High);

/// <summary>
/// How long an instance takes for a batch of each size (the paper's T_b): mean and a high percentile, measured at some sizes,
/// interpolated between them, never falling with the size, and refined by every batch that runs.
/// </summary>
/// <remarks>Not thread-safe while it is refined: it belongs to one scheduler.</remarks>
public sealed class LatencyProfile
{
    /// <summary>The quantile that <see cref="High"/> tracks: 0.8, which a machine's pauses do not move as long as fewer than one batch in five has one.</summary>
    public const double HighQuantile = 0.8;

    // A size that was measured at warm-up is believed until so many batches of it have run; of one that was not, fewer say more than nothing.
    private const int EnoughToRevise = 8;
    private const int EnoughToLearn = 3;

    // What was learnt is worked into the tables after so many batches that took so long together, since to do so takes as long as short batches run; or after many, whatever they took.
    private const int RefreshEvery = 16;
    private const int RefreshAnyway = 1024;
    private const long RefreshAfter = 2 * TimeSpan.TicksPerMillisecond;

    // After so many other batches what was seen of a size no longer counts.
    private const int ForgetAfter = 4096;

    // What a batch costs besides its run at the very least, ticks: to make it up, to hand it over, to complete it. So sizes that run equally well are told apart.
    private const int HandOver = 50;

    private const double Hope = 0.99;

    // Sizes within this of the highest throughput are as good, and the smallest of them answers soonest.
    private const double AsGood = 0.995;

    // What was last seen so many batches ago counts half.
    private const double HalfAfter = 64;

    private readonly int[] _sizes;
    private readonly double[] _baseMean;    // ticks at each size as measured at first; 0 = not measured
    private readonly double[] _baseHigh;
    private readonly RecentTimes?[] _recent;
    private readonly SizeTrials _trials;
    private readonly double[] _mean;        // ticks at each size as believed now; 0 = not known
    private readonly double[] _high;
    private readonly double[] _weight;
    private readonly double[] _hope;        // ticks as believed when a size is chosen
    private readonly double[] _rates;       // scratch of Publish
    private readonly long[] _hopeTable;
    private readonly double[] _block;       // scratch of MakeRise
    private readonly double[] _blockWeight;
    private readonly int[] _blockLast;
    private readonly long[] _meanTable;     // ticks at every size, index = size
    private readonly long[] _highTable;
    private readonly int[] _bestUpTo;
    private int _unpublished;
    private long _unpublishedTicks;

    /// <summary>A profile from measurements.</summary>
    /// <param name="points">At least one; sizes at least 1 and ascending, times positive, high at least the mean.</param>
    /// <exception cref="ProfileFormatException">A point is outside that.</exception>
    public LatencyProfile(IReadOnlyList<LatencyPoint> points)
        : this(Check(points))
    {
    }

    private static (int[] Sizes, double[] Mean, double[] High) Check(IReadOnlyList<LatencyPoint> points)
    {
        ArgumentNullException.ThrowIfNull(points);
        if (points.Count == 0)
        {
            throw new ProfileFormatException("A latency profile needs at least one measured batch size.");
        }
        var sizes = new int[points.Count];
        var mean = new double[points.Count];
        var high = new double[points.Count];
        for (var i = 0; i < points.Count; i++)
        {
            var p = points[i];
            if (p.BatchSize < 1 || (i > 0 && p.BatchSize <= points[i - 1].BatchSize) || p.BatchSize > 1 << 20)
            {
                throw new ProfileFormatException($"Batch size {p.BatchSize} at position {i}: sizes must ascend from at least 1 to at most {1 << 20}.");
            }
            if (p.Mean <= TimeSpan.Zero || p.High < p.Mean)
            {
                throw new ProfileFormatException(
                    $"Batch size {p.BatchSize}: mean {p.Mean.TotalMilliseconds} ms and high percentile {p.High.TotalMilliseconds} ms; both must be positive, the second not below the first.");
            }
            sizes[i] = p.BatchSize;
            mean[i] = p.Mean.Ticks;
            high[i] = p.High.Ticks;
        }
        return (sizes, mean, high);
    }

    private LatencyProfile((int[] Sizes, double[] Mean, double[] High) measured, RecentTimes?[]? recent = null, SizeTrials? trials = null)
    {
        (_sizes, _baseMean, _baseHigh) = measured;
        _recent = recent ?? new RecentTimes?[_sizes.Length];
        _trials = trials ?? new SizeTrials(_sizes);
        _mean = new double[_sizes.Length];
        _high = new double[_sizes.Length];
        _weight = new double[_sizes.Length];
        _hope = new double[_sizes.Length];
        _rates = new double[_sizes.Length];
        _hopeTable = new long[_sizes[^1] + 1];
        _block = new double[_sizes.Length];
        _blockWeight = new double[_sizes.Length];
        _blockLast = new int[_sizes.Length];
        MaxBatchSize = _sizes[^1];
        _meanTable = new long[MaxBatchSize + 1];
        _highTable = new long[MaxBatchSize + 1];
        _bestUpTo = new int[MaxBatchSize + 1];
        Publish();
    }

    /// <summary>A profile that knows nothing yet: every time is zero until batches have run.</summary>
    /// <param name="maxBatchSize">The largest batch; at least 1.</param>
    /// <returns>The profile.</returns>
    public static LatencyProfile Unmeasured(int maxBatchSize)
    {
        var sizes = ProbeSizes(maxBatchSize);
        return new LatencyProfile((sizes, new double[sizes.Length], new double[sizes.Length]));
    }

    /// <summary>A profile of the form T_b = fixed + b x perItem, without spread.</summary>
    /// <param name="fixedTime">The part that does not grow.</param>
    /// <param name="perItem">The part each request adds.</param>
    /// <param name="maxBatchSize">The largest batch; at least 1.</param>
    /// <returns>The profile.</returns>
    public static LatencyProfile Linear(TimeSpan fixedTime, TimeSpan perItem, int maxBatchSize) =>
        new(ProbeSizes(maxBatchSize).Select(b => new LatencyPoint(b, fixedTime + b * perItem, fixedTime + b * perItem)).ToArray());

    /// <summary>The sizes that are worth measuring: 1, 2, 4, ... and the largest.</summary>
    /// <param name="maxBatchSize">The largest batch; at least 1.</param>
    /// <returns>The sizes, ascending.</returns>
    public static int[] ProbeSizes(int maxBatchSize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxBatchSize, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxBatchSize, 1 << 20);
        var sizes = new List<int>();
        for (var b = 1; b < maxBatchSize; b *= 2)
        {
            sizes.Add(b);
        }
        sizes.Add(maxBatchSize);
        return [.. sizes];
    }

    /// <summary>The largest size the profile covers.</summary>
    public int MaxBatchSize { get; }

    /// <summary>Whether any batch was measured.</summary>
    public bool IsMeasured => _meanTable[MaxBatchSize] > 0;

    /// <summary>The measured sizes, as refined so far.</summary>
    public IReadOnlyList<LatencyPoint> Points =>
        _sizes.Select(b => new LatencyPoint(b, Mean(b), High(b))).ToArray();

    /// <summary>The mean time of a batch.</summary>
    /// <param name="batchSize">At least 1; sizes beyond <see cref="MaxBatchSize"/> are extrapolated in proportion.</param>
    /// <returns>The time; zero while nothing was measured.</returns>
    public TimeSpan Mean(int batchSize) => new(Lookup(_meanTable, batchSize));

    /// <summary>A high percentile of the time of a batch.</summary>
    /// <param name="batchSize">At least 1; sizes beyond <see cref="MaxBatchSize"/> are extrapolated in proportion.</param>
    /// <returns>The time; zero while nothing was measured.</returns>
    public TimeSpan High(int batchSize) => new(Lookup(_highTable, batchSize));

    /// <summary>Requests per second when batches of a size run back to back.</summary>
    /// <param name="batchSize">At least 1.</param>
    /// <returns>The rate; infinite while nothing was measured.</returns>
    public double Throughput(int batchSize) => batchSize * (double)TimeSpan.TicksPerSecond / Mean(batchSize).Ticks;

    /// <summary>The size of the highest throughput.</summary>
    /// <param name="limit">The largest size to consider; at least 1.</param>
    /// <returns>The size; of those within 0.5 % of the highest the smallest, which answers soonest, or the limit if that leaves less than a quarter of it behind.</returns>
    public int BestBatchSize(int limit) => _bestUpTo[Math.Clamp(limit, 1, MaxBatchSize)];

    /// <summary>
    /// The size that the next batch is to have: <see cref="BestBatchSize"/>, but now and again one that might serve faster, for some in a row, so that it is compared with the size that mostly runs. The slower it
    /// is, the less often it is tried: trials cost some three in a thousand requests of what could be served.
    /// </summary>
    /// <param name="limit">The largest size to consider; at least 1.</param>
    /// <returns>The size; at most the limit.</returns>
    public int NextBatchSize(int limit)
    {
        limit = Math.Clamp(limit, 1, MaxBatchSize);
        var best = _bestUpTo[limit];
        if (_trials.OnTrial < 0)
        {
            return best;
        }
        var tried = _sizes[_trials.OnTrial];
        if (!CanRun(tried))
        {
            return best;
        }
        if (_trials.IsNext)
        {
            return tried;
        }
        // One that is believed to be the best is compared all the same: it was never seen to be.
        var usual = _sizes[_trials.Usual];
        return best == tried && CanRun(usual) ? usual : best;

        bool CanRun(int size) => size == limit || (size < limit && !LeavesTooLittle(size, limit));
    }

    /// <summary>The largest size that ends within a time, by the high percentile.</summary>
    /// <param name="time">The time there is.</param>
    /// <param name="limit">The largest size to consider.</param>
    /// <returns>The size; 0 if not even one request ends in time.</returns>
    public int LargestWithin(TimeSpan time, int limit)
    {
        int low = 0, high = Math.Min(limit, MaxBatchSize);
        while (low < high)
        {
            var middle = (low + high + 1) >>> 1;
            if (_highTable[middle] <= time.Ticks)
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }
        return low;
    }

    /// <summary>
    /// The rate an instance sustains with an objective kept: batches of the largest useful size, where a request that just missed a
    /// batch waits for it to end and then for its own (2 T_b within the objective). Where not even 2 T_1 fits, a single request at a time, and of those the part that comes late enough in
    /// the one before to be done in time, (objective - T_1) / T_1.
    /// </summary>
    /// <param name="slo">The latency objective.</param>
    /// <param name="limit">The largest batch allowed.</param>
    /// <returns>Requests per second; 0 if not even a lone request ends within the objective.</returns>
    public double CapacityWithin(TimeSpan slo, int limit) => CapacityWithin(slo, limit, 1);

    /// <summary>
    /// The rate an instance of several sustains with an objective kept: a request that just missed a batch waits for the next of them to end its own, a part of T_b. Were they to take turns
    /// evenly, that would be T_b / c; as idle ones begin at once with what there is, several end together, and it is reckoned as T_b / c^(1/4). The more there are, the larger the
    /// batches may be. Where not even T_1 and that wait fit, the part of single requests that is done in time, (objective - T_1) / (T_1 / c^(1/4)).
    /// </summary>
    /// <param name="slo">The latency objective.</param>
    /// <param name="limit">The largest batch allowed.</param>
    /// <param name="instances">How many such instances serve; at least 1.</param>
    /// <returns>Requests per second, of one of them; 0 if not even a lone request ends within the objective.</returns>
    public double CapacityWithin(TimeSpan slo, int limit, int instances)
    {
        if (High(1) > slo)
        {
            return 0;
        }
        // Where not even a lone request leaves time to wait for the end of another, only those are done in time that come in the last part of one.
        return Throughput(SizeWithin(slo, limit, instances)) * Math.Min(1, (slo - High(1)) / (High(1) * Wait(instances)));
    }

    /// <summary>How an instance serves at the rate of <see cref="CapacityWithin(TimeSpan, int)"/>.</summary>
    /// <param name="slo">The latency objective.</param>
    /// <param name="limit">The largest batch allowed.</param>
    /// <returns>The batch and what is left of the objective; <see langword="null"/> if not even a lone request ends within it, or nothing was measured.</returns>
    public ServicePoint? ServiceWithin(TimeSpan slo, int limit) => ServiceWithin(slo, limit, 1);

    /// <summary>How an instance of several serves at the rate of <see cref="CapacityWithin(TimeSpan, int, int)"/>.</summary>
    /// <param name="slo">The latency objective.</param>
    /// <param name="limit">The largest batch allowed.</param>
    /// <param name="instances">How many such instances serve; at least 1.</param>
    /// <returns>The batch and what is left of the objective; <see langword="null"/> if not even a lone request ends within it, or nothing was measured.</returns>
    public ServicePoint? ServiceWithin(TimeSpan slo, int limit, int instances)
    {
        if (!IsMeasured || High(1) > slo)
        {
            return null;
        }
        var size = SizeWithin(slo, limit, instances);
        return new ServicePoint(size, Mean(size), slo - High(size));
    }

    private int SizeWithin(TimeSpan slo, int limit, int instances)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(instances, 1);
        return BestBatchSize(Math.Max(1, LargestWithin(slo / (1 + Wait(instances)), limit)));
    }

    /// <summary>Whether so many of those that wait leave a rest too small to be worth a batch: it goes along.</summary>
    private static bool LeavesTooLittle(int size, int waiting) => 4 * size > 3 * waiting;

    /// <summary>How long the next of some instances is busy, in times of a batch.</summary>
    private static double Wait(int instances) => Math.Pow(instances, -0.25);

    /// <summary>A copy that is refined on its own.</summary>
    /// <returns>The copy.</returns>
    public LatencyProfile Clone() => new((_sizes, _baseMean, _baseHigh), Array.ConvertAll(_recent, r => r?.Clone()), _trials.Clone());

    /// <summary>A profile of a slower or faster device of the same shape, as measured so far.</summary>
    /// <param name="factor">What every time is multiplied by; more than zero.</param>
    /// <returns>The profile.</returns>
    public LatencyProfile Scale(double factor)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(factor);
        return new((_sizes, Array.ConvertAll(_mean, t => t * factor), Array.ConvertAll(_high, t => t * factor)));
    }

    /// <summary>Learns from one batch. Deterministic: the same observations in the same order give the same profile.</summary>
    /// <param name="batchSize">Its size.</param>
    /// <param name="duration">How long it took.</param>
    internal void Observe(int batchSize, TimeSpan duration)
    {
        batchSize = Math.Min(batchSize, MaxBatchSize);
        var point = Nearest(batchSize);
        var ticks = Math.Max(1, duration.Ticks);
        var recent = _recent[point] ??= new RecentTimes();
        _trials.Observe(point, AtMeasuredSize(_hopeTable));
        recent.Add(AtMeasuredSize(_meanTable), _trials.Clock);
        // The first words on a size, and those that revise what was measured, count at once.
        _unpublished++;
        _unpublishedTicks += Math.Max(0, duration.Ticks);
        if ((_unpublished >= RefreshEvery && _unpublishedTicks >= RefreshAfter) || _unpublished >= RefreshAnyway || recent.Count <= EnoughToRevise)
        {
            Publish();
        }

        // As a table has it, a batch of the measured size would have taken so much longer or shorter.
        long AtMeasuredSize(long[] table) => _sizes[point] != batchSize && table[batchSize] > 0
            ? Math.Max(1, (long)((double)ticks * table[_sizes[point]] / table[batchSize]))
            : ticks;
    }

    /// <summary>
    /// Goes back to what was measured at first, if anything was: what was seen since no longer counts. Less than it takes to revise a size is kept, so
    /// that single batches, each after a pause, add up to a revision of what was measured.
    /// </summary>
    internal void Forget()
    {
        if (!_recent.Any(recent => recent?.Count >= EnoughToRevise))
        {
            return;
        }
        foreach (var recent in _recent)
        {
            recent?.Forget();
        }
        _trials.Forget();
        Publish();
    }

    private int Nearest(int batchSize)
    {
        var above = Array.BinarySearch(_sizes, batchSize);
        if (above >= 0)
        {
            return above;
        }
        above = ~above;
        return above > 0 && batchSize - _sizes[above - 1] < _sizes[above] - batchSize ? above - 1 : above;
    }

    private void Publish()
    {
        _unpublished = 0;
        _unpublishedTicks = 0;
        Estimate();
        MakeRise(_mean);
        MakeRise(_high);
        Fill(_meanTable, _mean);
        Fill(_highTable, _high);
        JudgeSizes();
        Fill(_hopeTable, _hope);
        for (var i = 0; i < _sizes.Length; i++)
        {
            _rates[i] = Rate(_sizes[i]);
        }
        _trials.Update(_rates);
        var fastest = 0.0;      // of the measured sizes up to b
        var known = 0;
        for (var b = 1; b <= MaxBatchSize; b++)
        {
            for (; known < _sizes.Length && _sizes[known] <= b; known++)
            {
                fastest = Math.Max(fastest, _rates[known]);
            }
            // What lies between two measured sizes is interpolated: it is not chosen for what only a measured one might have, unless no more wait.
            var enough = AsGood * Math.Max(fastest, Rate(b));
            var soonest = b;
            for (var i = 0; i < known && soonest == b; i++)
            {
                soonest = _rates[i] >= enough ? _sizes[i] : b;
            }
            _bestUpTo[b] = LeavesTooLittle(soonest, b) && Rate(b) >= enough ? b : soonest;
        }

        double Rate(int size) => size / (double)(_hopeTable[size] + HandOver);
    }

    /// <summary>
    /// How long each size takes when one is to be chosen: as compared with the usual one, or as measured at first, since a size that was seen when the machine was slower, or faster, says little by itself.
    /// Where nothing was measured at first, one that has hardly been seen is judged as if it served at least as fast as the smaller ones: so that it is tried.
    /// </summary>
    private void JudgeSizes()
    {
        var fastest = 0.0;
        for (var i = 0; i < _sizes.Length; i++)
        {
            _hope[i] = TimeNow(i);
            if (_hope[i] > 0)
            {
                if (fastest > 0 && _baseMean[i] == 0 && (_recent[i]?.Count ?? 0) < EnoughToRevise)
                {
                    _hope[i] = Math.Min(_hope[i], Hope * _sizes[i] / fastest);
                }
                fastest = Math.Max(fastest, _sizes[i] / _hope[i]);
            }
        }
        // What is compared and what is not need not rise with the size; a smaller batch takes no longer than a larger one.
        var ofLarger = double.MaxValue;
        for (var i = _sizes.Length - 1; i >= 0; i--)
        {
            _hope[i] = Math.Min(_hope[i], ofLarger);
            ofLarger = _hope[i] > 0 ? _hope[i] : ofLarger;
        }
    }

    private double TimeNow(int point)
    {
        var usual = _trials.Usual;
        if (usual < 0 || _recent[usual] is not { Count: >= EnoughToRevise } recent)
        {
            return _mean[point];
        }
        var atFirst = _baseMean[point] > 0 && _baseMean[usual] > 0 ? _baseMean[point] / _baseMean[usual] : 0;
        if (_trials.RatioToUsual(point, atFirst) is > 0 and var ratio)
        {
            return ratio * recent.Mean;
        }
        return !_trials.IsSeenLately(point) && atFirst > 0 ? atFirst * recent.Mean : _mean[point];
    }

    /// <summary>What is believed of each size: what was seen of it lately; else what was measured at first, scaled as those are that were seen.</summary>
    private void Estimate()
    {
        var most = 0;
        for (var i = 0; i < _sizes.Length; i++)
        {
            if (_recent[i] is { Count: > 0 } recent && _trials.Clock - recent.LastSeen > ForgetAfter)
            {
                recent.Forget();
            }
            most = Math.Max(most, _recent[i]?.Count ?? 0);
        }
        double ratio = 0, highRatio = 0, count = 0;
        for (var i = 0; i < _sizes.Length; i++)
        {
            (_mean[i], _high[i], _weight[i]) = (0, 0, 0);
            var isMeasured = _baseMean[i] > 0;
            if (_recent[i] is not { Count: > 0 } recent || recent.Count < (isMeasured ? EnoughToRevise : Math.Min(most, EnoughToLearn)))
            {
                continue;
            }
            recent.Refresh();
            (_mean[i], _high[i], _weight[i]) = (recent.Mean, recent.High, recent.Count * HalfAfter / (HalfAfter + _trials.Clock - recent.LastSeen));
            if (isMeasured)
            {
                ratio += _weight[i] * recent.Mean / _baseMean[i];
                highRatio += _weight[i] * recent.High / _baseHigh[i];
                count += _weight[i];
            }
        }
        for (var i = 0; i < _sizes.Length; i++)
        {
            if (_weight[i] == 0 && _baseMean[i] > 0)
            {
                _mean[i] = _baseMean[i] * (count > 0 ? ratio / count : 1);
                _high[i] = Math.Max(_mean[i], _baseHigh[i] * (count > 0 ? highRatio / count : 1));
                _weight[i] = EnoughToRevise;
            }
        }
    }

    /// <summary>The closest values that do not fall with the size (pool adjacent violators), each counted by how often it was seen; of the known sizes.</summary>
    private void MakeRise(double[] values)
    {
        var blocks = 0;
        for (var i = 0; i < values.Length; i++)
        {
            if (_weight[i] == 0)
            {
                continue;
            }
            (_block[blocks], _blockWeight[blocks]) = (values[i], _weight[i]);
            _blockLast[blocks++] = i;
            for (; blocks > 1 && _block[blocks - 2] > _block[blocks - 1]; blocks--)
            {
                var sum = _blockWeight[blocks - 2] + _blockWeight[blocks - 1];
                _block[blocks - 2] = (_block[blocks - 2] * _blockWeight[blocks - 2] + _block[blocks - 1] * _blockWeight[blocks - 1]) / sum;
                _blockWeight[blocks - 2] = sum;
                _blockLast[blocks - 2] = i;
            }
        }
        for (int i = 0, block = 0; i < values.Length; i++)
        {
            if (_weight[i] > 0)
            {
                values[i] = _block[block];
                block += _blockLast[block] == i ? 1 : 0;
            }
        }
    }

    private void Fill(long[] table, double[] points)
    {
        var previous = 0L;
        int below = -1, above = NextMeasured(points, 0);
        for (var b = 1; b <= MaxBatchSize; b++)
        {
            while (above < points.Length && _sizes[above] <= b)
            {
                below = above;
                above = NextMeasured(points, above + 1);
            }
            double value;
            if (below < 0)
            {
                // A size below all that is known is taken to save half in proportion, one above all to cost no more than the last: so that it is tried.
                value = above < points.Length ? points[above] * (1 + (double)b / _sizes[above]) / 2 : 0;
            }
            else if (above == points.Length)
            {
                value = points[below];
            }
            else
            {
                var share = (double)(b - _sizes[below]) / (_sizes[above] - _sizes[below]);
                value = points[below] + share * (points[above] - points[below]);
            }
            previous = Math.Max(previous, (long)Math.Round(value));
            table[b] = previous;
        }
    }

    private static int NextMeasured(double[] points, int from)
    {
        while (from < points.Length && points[from] == 0)
        {
            from++;
        }
        return from;
    }

    private long Lookup(long[] table, int batchSize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        return batchSize <= MaxBatchSize
            ? table[batchSize]
            : (long)(table[MaxBatchSize] * ((double)batchSize / MaxBatchSize));
    }

    /// <summary>The profile as JSON.</summary>
    /// <returns>The text.</returns>
    public string ToJson() => JsonSerializer.Serialize(
        new ProfileDocument
        {
            Points = [.. Points.Select(p => new ProfileDocumentPoint { BatchSize = p.BatchSize, MeanMs = p.Mean.TotalMilliseconds, HighMs = p.High.TotalMilliseconds })],
        },
        ProfileJson.Default.ProfileDocument);

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <param name="json">The text.</param>
    /// <returns>The profile.</returns>
    /// <exception cref="ProfileFormatException">The text is no latency profile; says where.</exception>
    public static LatencyProfile FromJson(string json)
    {
        ProfileDocument? document;
        try
        {
            document = JsonSerializer.Deserialize(json, ProfileJson.Default.ProfileDocument);
        }
        catch (JsonException e)
        {
            throw new ProfileFormatException($"Not a latency profile: {e.Message}", e);
        }
        if (document?.Points is null)
        {
            throw new ProfileFormatException("Not a latency profile: it has no \"points\".");
        }
        return new LatencyProfile(Array.ConvertAll(
            document.Points,
            p => new LatencyPoint(p.BatchSize, ToTime(p.MeanMs, p.BatchSize), ToTime(p.HighMs, p.BatchSize))));

        static TimeSpan ToTime(double milliseconds, int batchSize) => double.IsFinite(milliseconds) && milliseconds is > 0 and < 1e9
            ? TimeSpan.FromTicks((long)Math.Round(milliseconds * TimeSpan.TicksPerMillisecond))
            : throw new ProfileFormatException($"Batch size {batchSize}: {milliseconds} ms is no time; accepted are more than 0 and less than 1e9.");
    }

    /// <summary>Writes the profile to a file.</summary>
    /// <param name="path">The file; replaced if it exists.</param>
    public void Save(string path) => File.WriteAllText(path, ToJson());

    /// <summary>Reads a profile from a file.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The profile.</returns>
    /// <exception cref="ProfileFormatException">The file is missing or holds no latency profile; names the path.</exception>
    public static LatencyProfile Load(string path)
    {
        try
        {
            return FromJson(File.ReadAllText(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ProfileFormatException)
        {
            throw new ProfileFormatException($"Latency profile '{path}': {e.Message}", e);
        }
    }
}

/// <summary>A latency profile is not as it must be.</summary>
public sealed class ProfileFormatException : ServingException
{
    /// <summary>A profile that is not as it must be.</summary>
    /// <param name="message">What was wrong and what is accepted.</param>
    /// <param name="innerException">The cause.</param>
    public ProfileFormatException(string message, Exception? innerException = null) : base(message, innerException) { }
}

internal sealed class ProfileDocument
{
    public int Version { get; set; } = 1;

    public double HighQuantile { get; set; } = LatencyProfile.HighQuantile;

    public ProfileDocumentPoint[]? Points { get; set; }
}

internal sealed class ProfileDocumentPoint
{
    public int BatchSize { get; set; }

    public double MeanMs { get; set; }

    public double HighMs { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(ProfileDocument))]
internal sealed partial class ProfileJson : JsonSerializerContext;
