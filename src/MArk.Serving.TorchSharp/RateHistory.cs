namespace MArk.Serving.TorchSharp;

/// <summary>The last intervals' rates; NaN where there is a gap.</summary>
internal sealed class RateHistory(int capacity)
{
    private readonly double[] _rates = new double[capacity];
    private int _count;

    /// <summary>The index of the last interval.</summary>
    public long Last { get; private set; }

    /// <summary>How many intervals came one right after the other, up to the last.</summary>
    public int Run { get; private set; }

    public double LastRate => _rates[Slot(Last)];

    /// <summary>Adds an interval; what lies between the last one and it is a gap.</summary>
    public void Add(long index, double rate)
    {
        if (Run > 0)
        {
            var gap = index - Last - 1;
            Run = gap > 0 ? 0 : Run;
            for (var i = Math.Max(Last + 1, index - _rates.Length); i < index; i++)
            {
                _rates[Slot(i)] = double.NaN;
            }
            _count = (int)Math.Min(_rates.Length, _count + gap);
        }
        Last = index;
        _rates[Slot(index)] = rate;
        Run = Math.Min(Run + 1, _rates.Length);
        _count = Math.Min(_count + 1, _rates.Length);
    }

    /// <summary>All of it, the oldest first.</summary>
    public double[] ToArray()
    {
        var rates = new double[_count];
        CopyTo(rates);
        return rates;
    }

    /// <summary>The last of it, the oldest first.</summary>
    public void CopyTo(Span<double> rates)
    {
        for (var i = 0; i < rates.Length; i++)
        {
            rates[i] = _rates[Slot(Last - rates.Length + 1 + i)];
        }
    }

    private int Slot(long index) => (int)(index % _rates.Length);
}
