namespace MArk.Serving.Prediction;

/// <summary>The last intervals' values by their index; NaN where there is none.</summary>
internal sealed class IntervalSeries
{
    private readonly double[] _values;

    public IntervalSeries(int capacity)
    {
        _values = new double[capacity];
        Array.Fill(_values, double.NaN);
    }

    /// <summary>The highest index that was set.</summary>
    public long Last { get; private set; } = long.MinValue;

    public double this[long index] => index <= Last && index > Last - _values.Length ? _values[Slot(index)] : double.NaN;

    /// <summary>Adds a value; what lies between the last one and it is a gap.</summary>
    public void Add(long index, double value)
    {
        if (Last != long.MinValue)
        {
            for (var gap = Math.Max(Last + 1, index - _values.Length); gap < index; gap++)
            {
                _values[Slot(gap)] = double.NaN;
            }
        }
        Last = index;
        _values[Slot(index)] = value;
    }

    private int Slot(long index) => (int)(((index % _values.Length) + _values.Length) % _values.Length);
}
