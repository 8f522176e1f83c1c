namespace MArk.Serving.Prediction;

/// <summary>The scale on which residuals are taken: the more the error grows with the level, the more it must be compressed (Box and Cox 1964).</summary>
internal enum ResidualScale
{
    Logarithm,
    SquareRoot,
    Linear,
}

/// <summary>
/// The residuals of a point forecast, for each step of the horizon: an exponentially forgetting histogram, and the levels at which it is read. A level
/// is adapted online so that the share of samples below its quantile is as it should be whatever the model and however the level changes (adaptive conformal
/// inference: Gibbs and Candès, NeurIPS 2021).
/// </summary>
internal sealed class ResidualBand
{
    private const int Octaves = 34;
    private const int PerOctave = 4;
    private const int Positive = Octaves * PerOctave;
    private const int Bins = 2 * Positive + 1;
    private const double Shrinkage = 4;         // intervals: how much the step before counts
    private const double Adaptation = 0.01;

    private const double AdaptationHalf = 3;    // steps until half of it: what comes late must be answered slowly, or it swings

    private static readonly double[] Edges = [.. Enumerable.Range(0, Positive + 1).Select(i => (1 + i % PerOctave / (double)PerOctave) * Math.Pow(2, i / PerOctave))];

    private readonly ResidualScale _scale;
    private readonly double _perSecond;
    private readonly double _smallest;
    private readonly double[] _levels;
    private readonly double[] _scores;
    private readonly double _forgetting;
    private readonly float[] _mass;         // [step][bin]
    private readonly int[] _lowest;
    private readonly int[] _highest;
    private readonly double[] _total;
    private readonly double[] _effective;   // [step][level]
    private readonly double[] _offsets;     // [level], of the step before
    private readonly double[] _transformed = new double[256];
    private int _count;
    private double _unit = 1;

    /// <param name="scale">The scale.</param>
    /// <param name="sampleSeconds">How long a sample is.</param>
    /// <param name="steps">How many steps there are.</param>
    /// <param name="levels">The quantile levels, ascending.</param>
    /// <param name="memory">How many intervals are remembered.</param>
    public ResidualBand(ResidualScale scale, double sampleSeconds, int steps, ReadOnlySpan<double> levels, double memory)
    {
        _scale = scale;
        _perSecond = sampleSeconds;
        _smallest = scale switch { ResidualScale.Logarithm => 1.0 / 4096, ResidualScale.SquareRoot => 1.0 / 256, _ => 1.0 / 32 };
        _levels = levels.ToArray();
        _scores = Array.ConvertAll(_levels, NormalDistribution.Quantile);
        _forgetting = 1 + 1 / memory;
        _mass = new float[steps * Bins];
        _lowest = new int[steps];
        Array.Fill(_lowest, Bins);
        _highest = new int[steps];
        Array.Fill(_highest, -1);
        _total = new double[steps];
        _effective = new double[steps * levels.Length];
        for (var step = 0; step < steps; step++)
        {
            levels.CopyTo(_effective.AsSpan(step * levels.Length));
        }
        _offsets = new double[levels.Length];
    }

    /// <summary>Begins an interval: what was before counts a little less.</summary>
    public void Begin(ReadOnlySpan<double> samples)
    {
        _count = Math.Min(samples.Length, _transformed.Length);
        for (var i = 0; i < _count; i++)
        {
            _transformed[i] = Transform(samples[i]);
        }
        _unit *= _forgetting;
        if (_unit > 1e6)
        {
            for (var i = 0; i < _mass.Length; i++)
            {
                _mass[i] = (float)(_mass[i] / _unit);
            }
            for (var i = 0; i < _total.Length; i++)
            {
                _total[i] /= _unit;
            }
            _unit = 1;
        }
    }

    /// <summary>Learns how far the samples of the interval lie from what was forecast for it.</summary>
    /// <param name="step">Which step it was forecast as.</param>
    /// <param name="point">What was forecast.</param>
    /// <param name="weight">For how many intervals it stands.</param>
    public void Learn(int step, double point, double weight)
    {
        var at = Transform(point);
        var mass = _mass.AsSpan(step * Bins, Bins);
        var each = (float)(weight * _unit / _count);
        for (var i = 0; i < _count; i++)
        {
            var bin = BinOf(_transformed[i] - at);
            mass[bin] += each;
            _lowest[step] = Math.Min(_lowest[step], bin);
            _highest[step] = Math.Max(_highest[step], bin);
        }
        _total[step] += weight * _unit;
    }

    /// <summary>Learns which share of the interval's samples stayed below a quantile that was given for it.</summary>
    public void Adapt(int step, int level, double covered)
    {
        ref var effective = ref _effective[step * _levels.Length + level];
        var target = _levels[level];
        effective = Math.Clamp(effective + Adaptation / (1 + step / AdaptationHalf) * (target - covered), 0.2 * target, 1 - 0.1 * (1 - target));
    }

    /// <summary>Reads the quantiles of a step around a point forecast. Steps are read from the first on, for what is little known is drawn towards the step before.</summary>
    public void Read(int step, double point, Span<double> quantiles)
    {
        if (step == 0)
        {
            SetPrior(point);
        }
        var known = _total[step] / _unit;
        if (known > 0)
        {
            ReadOffsets(step, known / (known + Shrinkage));
        }
        var at = Transform(point);
        var before = 0.0;
        for (var level = 0; level < quantiles.Length; level++)
        {
            quantiles[level] = before = Math.Max(before, Restore(at + _offsets[level]));
        }
    }

    /// <summary>The standard deviation of a sample's requests before anything is known: a Poisson process's, and a fifth of the level more.</summary>
    public static double PriorDeviation(double requests) => Math.Sqrt(requests + 0.04 * requests * requests + 0.25);

    private void SetPrior(double point)
    {
        var requests = point * _perSecond;
        var deviation = PriorDeviation(requests);
        var slope = _scale switch
        {
            ResidualScale.Logarithm => 1 / (1 + requests),
            ResidualScale.SquareRoot => 1 / Math.Sqrt(requests + 0.25),
            _ => 1,
        };
        for (var level = 0; level < _offsets.Length; level++)
        {
            _offsets[level] = _scores[level] * deviation * slope;
        }
    }

    private void ReadOffsets(int step, double weight)
    {
        var mass = _mass.AsSpan(step * Bins, Bins);
        var total = _total[step];
        var (bin, below) = (_lowest[step], 0.0);
        var highest = _highest[step];
        for (var level = 0; level < _levels.Length; level++)
        {
            var wanted = _effective[step * _levels.Length + level] * total;
            // By fours as long as it goes, so that additions do not wait for each other.
            for (var four = 0.0; bin + 3 < highest && below + (four = (mass[bin] + mass[bin + 1]) + (mass[bin + 2] + mass[bin + 3])) < wanted; bin += 4)
            {
                below += four;
            }
            while (bin < highest && below + mass[bin] < wanted)
            {
                below += mass[bin++];
            }
            var part = mass[bin] > 0 ? Math.Clamp((wanted - below) / mass[bin], 0, 1) : 1;
            var offset = LowerEdge(bin) + part * (LowerEdge(bin + 1) - LowerEdge(bin));
            _offsets[level] += weight * (offset - _offsets[level]);
        }
    }

    private double LowerEdge(int bin)
    {
        var i = bin - Positive;
        return i > 0 ? _smallest * Edges[i - 1] : -_smallest * Edges[-i];
    }

    /// <summary>The bin of a residual: four to an octave, read off the exponent and the first two bits of the number.</summary>
    private int BinOf(double residual)
    {
        var magnitude = Math.Abs(residual) / _smallest;
        if (magnitude < 1)
        {
            return Positive;
        }
        var i = (int)Math.Min(Positive - 1, (BitConverter.DoubleToInt64Bits(magnitude) >> 50) - (1023L << 2));
        return residual > 0 ? Positive + 1 + i : Positive - 1 - i;
    }

    private double Transform(double rate) => _scale switch
    {
        ResidualScale.Logarithm => Math.Log(1 + rate * _perSecond),
        ResidualScale.SquareRoot => 2 * Math.Sqrt(rate * _perSecond),
        _ => rate * _perSecond,
    };

    /// <summary>The rate; less than a twentieth of a request in a sample is none.</summary>
    private double Restore(double value)
    {
        var requests = _scale switch
        {
            ResidualScale.Logarithm => Math.Exp(value) - 1,
            ResidualScale.SquareRoot => value > 0 ? value * value / 4 : 0,
            _ => value,
        };
        return requests < 0.05 ? 0 : requests / _perSecond;
    }
}
