namespace MArk.Serving.Simulation;

/// <summary>How many requests arrived in each slot of some time: recorded, or made up.</summary>
public sealed class ArrivalTrace
{
    private const string Header = "offset_s,count";
    private const int MaxSlots = 10_000_000;

    private readonly double[] _counts;
    private readonly bool[]? _gaps;

    /// <summary>A trace.</summary>
    /// <param name="slotLength">How long a slot is; more than zero.</param>
    /// <param name="counts">The requests of each slot, finite and at least 0; at least one slot. A fraction is an expectation.</param>
    /// <exception cref="ArgumentException">A value is outside its range; says which.</exception>
    public ArrivalTrace(TimeSpan slotLength, IReadOnlyList<double> counts)
    {
        ArgumentNullException.ThrowIfNull(counts);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(slotLength, TimeSpan.Zero);
        if (counts.Count == 0)
        {
            throw new ArgumentException("A trace needs at least one slot.", nameof(counts));
        }
        for (var i = 0; i < counts.Count; i++)
        {
            if (!(double.IsFinite(counts[i]) && counts[i] >= 0))
            {
                throw new ArgumentException(FormattableString.Invariant($"Slot {i} has {counts[i]} requests; accepted is a finite number of at least 0."), nameof(counts));
            }
        }
        SlotLength = slotLength;
        _counts = [.. counts];
    }

    private ArrivalTrace(TimeSpan slotLength, double[] counts, bool[] gaps)
        : this(slotLength, counts) => _gaps = gaps;

    /// <summary>How long a slot is.</summary>
    public TimeSpan SlotLength { get; }

    /// <summary>The requests of each slot; 0 where it is a gap.</summary>
    public IReadOnlyList<double> Counts => _counts;

    /// <summary>Whether a slot was left out: nobody knows how many requests it had. Arrivals have none there.</summary>
    /// <param name="slot">Which slot, from 0.</param>
    /// <returns>Whether it is a gap.</returns>
    public bool IsGap(int slot) => _gaps is not null && _gaps[slot];

    /// <summary>How long the trace is.</summary>
    public TimeSpan Duration => SlotLength * _counts.Length;

    /// <summary>All requests.</summary>
    public double Total => _counts.Sum();

    /// <summary>The rate of the busiest slot, requests per second.</summary>
    public double PeakRate => _counts.Max() / SlotLength.TotalSeconds;

    /// <summary>
    /// Reads a trace: a line <c>offset_s,count</c>, then for each slot the second it begins at and its requests, ascending. The shortest step between
    /// two lines is the slot; slots that are left out are gaps.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <returns>The trace.</returns>
    /// <exception cref="TraceFormatException">The file cannot be read or is no such trace; names the path and the line.</exception>
    public static ArrivalTrace Load(string path) => PairFile.Open(path, reader => Read(reader, path));

    /// <summary>Reads a trace as <see cref="Load"/> does.</summary>
    /// <param name="reader">The text.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <returns>The trace.</returns>
    /// <exception cref="TraceFormatException">The text is no such trace; names the line.</exception>
    public static ArrivalTrace Read(TextReader reader, string name)
    {
        ArgumentNullException.ThrowIfNull(reader);
        if (reader.Peek() < 0)
        {
            throw new TraceFormatException(name, 1, $"it is empty; expected is the header '{Header}'.");
        }
        var slots = new List<(double Offset, double Count)>();
        var last = 1;
        foreach (var (line, offset, count) in PairFile.Read(reader, name, Header))
        {
            Check(offset, count, name, line, slots.Count > 0 ? slots[^1].Offset : double.NegativeInfinity);
            slots.Add((offset, count));
            last = line;
        }
        if (slots.Count < 2)
        {
            throw new TraceFormatException(name, last, $"it has {slots.Count} slots; expected are at least two, whose distance is the slot's length.");
        }
        return FromSlots(slots, name, last);
    }

    private static void Check(double offset, double count, string name, int line, double before)
    {
        if (!(double.IsFinite(offset) && offset >= 0 && offset > before))
        {
            throw new TraceFormatException(name, line, FormattableString.Invariant($"the offset is {offset}; expected is a finite number of at least 0 that is more than the line before it has."));
        }
        if (!(double.IsFinite(count) && count >= 0))
        {
            throw new TraceFormatException(name, line, FormattableString.Invariant($"the count is {count}; expected is a finite number of at least 0."));
        }
    }

    private static ArrivalTrace FromSlots(List<(double Offset, double Count)> slots, string name, int lastLine)
    {
        var slot = slots.Zip(slots.Skip(1), (a, b) => b.Offset - a.Offset).Min();
        var length = Math.Round((slots[^1].Offset - slots[0].Offset) / slot) + 1;
        if (length > MaxSlots)
        {
            throw new TraceFormatException(name, lastLine, FormattableString.Invariant($"slots of {slot} s up to offset {slots[^1].Offset} are {length:0}; accepted are at most {MaxSlots}."));
        }
        var counts = new double[(int)length];
        var gaps = new bool[counts.Length];
        Array.Fill(gaps, true);
        foreach (var (offset, count) in slots)
        {
            var index = (int)Math.Round((offset - slots[0].Offset) / slot);
            counts[index] += count;
            gaps[index] = false;
        }
        if (counts.Sum() == 0)
        {
            throw new TraceFormatException(name, lastLine, "no slot has a request.");
        }
        return new ArrivalTrace(TimeSpan.FromSeconds(slot), counts, gaps);
    }

    /// <summary>The same shape in another time, with another height: a day in a minute, say.</summary>
    /// <param name="duration">How long it is to be; more than zero.</param>
    /// <param name="slots">Of how many slots; at least 1. More than there are repeat, fewer are averaged.</param>
    /// <param name="peakRate">The rate of its busiest slot, requests per second; at least 0.</param>
    /// <returns>The new trace.</returns>
    public ArrivalTrace Reshape(TimeSpan duration, int slots, double peakRate)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(duration, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(slots, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(peakRate);
        var shape = new double[slots];
        for (var i = 0; i < slots; i++)
        {
            // The part of the old slots that falls into the new one.
            var (from, to) = ((double)i * _counts.Length / slots, (i + 1.0) * _counts.Length / slots);
            for (var old = (int)from; old < Math.Min(_counts.Length, Math.Ceiling(to)); old++)
            {
                shape[i] += _counts[old] * (Math.Min(to, old + 1) - Math.Max(from, old));
            }
        }
        var slot = duration / slots;
        var highest = shape.Max();
        var factor = highest > 0 ? peakRate * slot.TotalSeconds / highest : 0;
        return new ArrivalTrace(slot, Array.ConvertAll(shape, c => c * factor));
    }

    /// <summary>Its first part.</summary>
    /// <param name="duration">How long that is, to whole slots; more than zero. The whole trace where it is no longer.</param>
    /// <returns>The new trace.</returns>
    public ArrivalTrace First(TimeSpan duration)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(duration, TimeSpan.Zero);
        var slots = (int)Math.Min(_counts.Length, Math.Ceiling(duration / SlotLength));
        return _gaps is null ? new ArrivalTrace(SlotLength, _counts[..slots]) : new ArrivalTrace(SlotLength, _counts[..slots], _gaps[..slots]);
    }

    /// <summary>Another height: every count times a factor.</summary>
    /// <param name="factor">The factor; finite, more than 0.</param>
    /// <returns>The new trace.</returns>
    public ArrivalTrace Scale(double factor)
    {
        if (!(double.IsFinite(factor) && factor > 0))
        {
            throw new ArgumentOutOfRangeException(nameof(factor), factor, "Accepted is a finite number of more than 0.");
        }
        var counts = Array.ConvertAll(_counts, c => c * factor);
        return _gaps is null ? new ArrivalTrace(SlotLength, counts) : new ArrivalTrace(SlotLength, counts, _gaps);
    }

    /// <summary>Arrival times: a Poisson process whose rate in each slot is the slot's. The same seed gives the same times.</summary>
    /// <param name="seed">Seeds the randomness.</param>
    /// <returns>The times since the trace's begin, ascending.</returns>
    public IEnumerable<TimeSpan> Arrivals(int seed)
    {
        var random = new Random(seed);
        return Times(() => Sampling.Exponential(random));
    }

    /// <summary>Arrival times at gaps that are the same within a slot: one for each whole request of the expected count so far.</summary>
    /// <returns>The times since the trace's begin, ascending.</returns>
    public IEnumerable<TimeSpan> EvenArrivals() => Times(() => 1);

    /// <summary>A process of unit rate, read on the clock of the expected arrivals so far.</summary>
    private IEnumerable<TimeSpan> Times(Func<double> gap)
    {
        var due = gap();
        var before = 0.0;
        for (var i = 0; i < _counts.Length; i++)
        {
            while (due < before + _counts[i])
            {
                yield return SlotLength * (i + (due - before) / _counts[i]);
                due += gap();
            }
            before += _counts[i];
        }
    }
}

/// <summary>A trace is not as it must be.</summary>
public sealed class TraceFormatException : ServingException
{
    /// <summary>A trace that is not as it must be.</summary>
    /// <param name="path">The file.</param>
    /// <param name="line">The line, counted from 1; 0 where it is not about a line.</param>
    /// <param name="message">What was wrong and what is expected.</param>
    /// <param name="innerException">The cause.</param>
    public TraceFormatException(string path, int line, string message, Exception? innerException = null)
        : base(line > 0 ? $"Trace '{path}', line {line}: {message}" : $"Trace '{path}': {message}", innerException)
    {
        Path = path;
        Line = line;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The line, counted from 1; 0 where it is not about a line.</summary>
    public int Line { get; }
}
