namespace MArk.Serving.Simulation;

/// <summary>A quantity that changes at instants, added up over time.</summary>
internal struct TimeWeighted
{
    private TimeSpan _at;
    private double _total;

    public double Value { get; private set; }

    public void Set(TimeSpan now, double value)
    {
        Pass(now);
        Value = value;
    }

    public void Add(TimeSpan now, double more) => Set(now, Value + more);

    /// <summary>The value times seconds since it was last taken.</summary>
    public double Take(TimeSpan now)
    {
        Pass(now);
        var total = _total;
        _total = 0;
        return total;
    }

    private void Pass(TimeSpan now)
    {
        _total += Value * (now - _at).TotalSeconds;
        _at = now;
    }
}
