namespace MArk.Serving.Prediction;

/// <summary>What was forecast at the last origins, each a row of values, until the intervals that were forecast have come.</summary>
internal sealed class OriginRing
{
    private readonly float[] _values;
    private readonly long[] _origins;
    private readonly int _width;

    public OriginRing(int horizon, int width)
    {
        _width = width;
        _origins = new long[horizon + 1];
        Array.Fill(_origins, -1);
        _values = new float[(horizon + 1) * width];
    }

    /// <summary>Whether no origin was ever added.</summary>
    public bool IsEmpty { get; private set; } = true;

    /// <summary>The row of a new origin, to be filled.</summary>
    public Span<float> Add(long origin)
    {
        IsEmpty = false;
        var slot = (int)(origin % _origins.Length);
        _origins[slot] = origin;
        return _values.AsSpan(slot * _width, _width);
    }

    /// <summary>The row of an origin; empty if there is none.</summary>
    public ReadOnlySpan<float> this[long origin]
    {
        get
        {
            if (origin < 0)
            {
                return default;
            }
            var slot = (int)(origin % _origins.Length);
            return _origins[slot] == origin ? _values.AsSpan(slot * _width, _width) : default;
        }
    }
}
