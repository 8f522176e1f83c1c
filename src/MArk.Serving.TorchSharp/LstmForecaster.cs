namespace MArk.Serving.TorchSharp;

/// <summary>
/// MArk's example of a predictor (Zhang, Yu, Wang and Yan, USENIX ATC 2019, section 4.1, and its published code): a multi-step LSTM on the differenced series, scaled to
/// between -1 and 1, with one output for each interval of the horizon, trained by mean squared error and Adam. It forecasts one number an interval; <see cref="LstmPredictor"/> makes a
/// distribution of that. Until it was trained, and after a gap until a window is whole again, what was last stays.
/// </summary>
/// <remarks>
/// <para>
/// Of the rates x it is shown the last <see cref="LstmOptions.Window"/> changes, (x[t] - x[t-1] - c) / s, where c is the middle and s half the range of the changes in the history it
/// was trained on. Its outputs are the changes to come in the same scale, and what it forecasts for an interval is the last rate plus all changes up to there, at least 0.
/// Changes beyond -1 and 1, shown or answered, count as these. The cell is that of Hochreiter and Schmidhuber (Neural Computation, 1997) with forget gates (Gers, Schmidhuber and Cummins,
/// Neural Computation, 2000); Adam is that of Kingma and Ba (ICLR 2015). Other than in MArk's published code every window begins with an empty cell, so that a forecast depends on nothing
/// but the window.
/// </para>
/// <para>Training needs the native libtorch, of a package that the host references. Forecasts and loaded weights need none, and it holds no native memory.</para>
/// </remarks>
public sealed class LstmForecaster : IRateForecaster, ITrainable
{
    private const int Patience = 10;    // intervals until it is looked again whether there are windows enough

    private readonly LstmOptions _options;
    private readonly LstmShape _shape;
    private readonly Action<LstmWeights>? _learned;
    private readonly RateHistory _history;
    private readonly LstmScratch _scratch;
    private readonly double[] _window;
    private readonly double[] _path;
    private LstmWeights? _weights;
    private bool _pathIsCurrent;
    private long _observed;
    private long _due;
    private int _trainings;

    /// <summary>A forecaster.</summary>
    /// <param name="interval">How long an interval is; more than zero.</param>
    /// <param name="horizon">How many intervals ahead is forecast; 1 to <see cref="WorkloadForecast.MaxHorizon"/>. What lies beyond stays as it is forecast for the last of them.</param>
    /// <param name="options">Its size and its training; the defaults if <see langword="null"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    public LstmForecaster(TimeSpan interval, int horizon, LstmOptions? options = null)
        : this(interval, horizon, options, learned: null)
    {
    }

    /// <param name="interval">How long an interval is.</param>
    /// <param name="horizon">How many intervals ahead is forecast.</param>
    /// <param name="options">Its size and its training.</param>
    /// <param name="learned">Told what a training has learned, on its thread.</param>
    internal LstmForecaster(TimeSpan interval, int horizon, LstmOptions? options, Action<LstmWeights>? learned)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(interval, TimeSpan.Zero);
        if (horizon is < 1 or > WorkloadForecast.MaxHorizon)
        {
            throw new ArgumentOutOfRangeException(nameof(horizon), horizon, $"The horizon must be 1 to {WorkloadForecast.MaxHorizon} intervals.");
        }
        _options = options ?? new LstmOptions();
        _learned = learned;
        _shape = new LstmShape(interval.Ticks, _options.HiddenUnits, _options.Window, horizon);
        _history = new RateHistory(LstmOptions.KeptIntervals);
        _scratch = new LstmScratch(_shape);
        _window = new double[_options.Window + 1];
        _path = new double[horizon];
        _due = _options.MinimumHistory;
    }

    /// <summary>Whether it forecasts by weights, trained or loaded, rather than by the last value.</summary>
    public bool HasLearned => _weights is not null;

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">The interval is not later than the one before, or the rate is negative or not finite. Nothing has changed.</exception>
    public void Observe(DateTimeOffset start, double rate)
    {
        var index = start.UtcTicks / _shape.IntervalTicks;
        if (_observed > 0 && index <= _history.Last)
        {
            throw new ArgumentOutOfRangeException(nameof(start), start, "Intervals come in ascending order.");
        }
        if (!(rate >= 0 && double.IsFinite(rate)))
        {
            throw new ArgumentOutOfRangeException(nameof(rate), rate, "A rate is finite and at least 0.");
        }
        _history.Add(index, rate);
        _observed++;
        _pathIsCurrent = false;
    }

    /// <inheritdoc/>
    public void Forecast(DateTimeOffset start, Span<double> rates)
    {
        if (_observed == 0)
        {
            rates.Clear();
            return;
        }
        if (_weights is null || _history.Run < _window.Length)
        {
            rates.Fill(_history.LastRate);
            return;
        }
        if (!_pathIsCurrent)
        {
            _history.CopyTo(_window);
            _weights.Forecast(_window, _scratch, _path);
            _pathIsCurrent = true;
        }
        var first = Math.Max(0, start.UtcTicks / _shape.IntervalTicks - _history.Last - 1);
        for (var i = 0; i < rates.Length; i++)
        {
            rates[i] = _path[(int)Math.Min(first + i, _path.Length - 1)];
        }
    }

    /// <summary>Takes the training that is due: after <see cref="LstmOptions.MinimumHistory"/> intervals, and after every <see cref="LstmOptions.RetrainAfter"/> since one was taken.</summary>
    /// <returns>
    /// The job; <see langword="null"/> if none is due, or there are too few windows without a gap. Its run throws <see cref="LibTorchMissingException"/> where there is no native
    /// libtorch, and another <see cref="ServingException"/> where that fails; forecasts go on as before.
    /// </returns>
    public ITrainingJob? TakeTrainingJob()
    {
        if (_observed < _due)
        {
            return null;
        }
        if (TrainingWindows.Of(_history.ToArray(), _shape) is not { } windows)
        {
            _due = _observed + Patience;
            return null;
        }
        _due = _observed + _options.RetrainAfter;
        return new LstmTraining(this, _options, _shape, windows, _weights, unchecked(_options.Seed + _trainings++));
    }

    /// <summary>Writes the weights and the scale that belongs to them, with a version and a checksum: about 30 KB by default. The history is not among it.</summary>
    /// <param name="stream">Written to, and left open. What it throws is passed on.</param>
    /// <exception cref="InvalidOperationException">It has not learned anything yet: <see cref="HasLearned"/>.</exception>
    public void Save(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        stream.Write((_weights ?? throw new InvalidOperationException("The LSTM has not learned anything yet; there is nothing to save.")).ToBytes());
    }

    /// <summary>
    /// Takes weights that one of the same interval, horizon, window and hidden units saved, and forecasts by them from now on; the next training goes on from them. A job
    /// that was taken before and is applied later puts its own in their place.
    /// </summary>
    /// <param name="stream">Read to its end, and left open. What it throws is passed on, and nothing has changed.</param>
    /// <exception cref="LstmFormatException">What it reads is something else, of another version, cut short, damaged, or for another shape. Nothing has changed.</exception>
    public void Load(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        using var read = new MemoryStream();
        var buffer = new byte[16_384];
        // Nothing longer than the largest weights is read, however long it is.
        for (var count = 1; count > 0 && read.Length <= LstmWeights.LargestBytes;)
        {
            count = stream.Read(buffer);
            read.Write(buffer, 0, count);
        }
        Take(LstmWeights.FromBytes(read.GetBuffer().AsSpan(0, (int)read.Length), _shape));
    }

    internal void OnLearned(LstmWeights weights) => _learned?.Invoke(weights);

    internal void Take(LstmWeights weights)
    {
        _weights = weights;
        _pathIsCurrent = false;
    }
}
