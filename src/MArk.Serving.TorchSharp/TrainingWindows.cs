namespace MArk.Serving.TorchSharp;

/// <summary>
/// What an LSTM is trained on: of a series of rates the changes from interval to interval, scaled so that they lie between -1 and 1, and every place where a window of them
/// and the horizon after it lie without a gap. The newest tenth of the places is held out to judge by; between those and the others nothing is shared that is to be forecast.
/// </summary>
internal sealed class TrainingWindows
{
    /// <summary>The fewest windows that are trained on.</summary>
    public const int Fewest = 32;

    private const int MostHeldOut = 512;
    private const double SmallestRange = 1e-9; // of the largest change: below it is rounding

    private readonly float[] _changes;
    private readonly LstmShape _shape;

    private TrainingWindows(LstmShape shape, float[] changes, double centre, double scale, int[] training, int[] heldOut)
    {
        _shape = shape;
        _changes = changes;
        Centre = centre;
        Scale = scale;
        Training = training;
        HeldOut = heldOut;
    }

    public double Centre { get; }

    public double Scale { get; }

    /// <summary>Where the windows to train on begin.</summary>
    public int[] Training { get; }

    /// <summary>Where those to judge by begin.</summary>
    public int[] HeldOut { get; }

    /// <summary>Those of a series.</summary>
    /// <param name="rates">The rates, the oldest first; NaN is a gap.</param>
    /// <param name="shape">What they are for.</param>
    /// <returns>The windows; <see langword="null"/> if there are too few.</returns>
    public static TrainingWindows? Of(double[] rates, LstmShape shape)
    {
        var places = new List<int>();
        var (run, least, most) = (0, double.PositiveInfinity, double.NegativeInfinity);
        for (var i = 1; i < rates.Length; i++)
        {
            // Next to a gap the change is NaN: no window reaches over one.
            var change = rates[i] - rates[i - 1];
            run = double.IsNaN(change) ? 0 : run + 1;
            if (run > 0)
            {
                (least, most) = (Math.Min(least, change), Math.Max(most, change));
            }
            if (run >= shape.Window + shape.Horizon)
            {
                places.Add(i - shape.Window - shape.Horizon);
            }
        }
        if (places.Count == 0)
        {
            return null;
        }
        var heldOut = places.TakeLast(Math.Max(1, places.Count / 10)).ToArray();
        var training = places.TakeWhile(place => place <= heldOut[0] - shape.Horizon).ToArray();
        if (training.Length < Fewest)
        {
            return null;
        }
        var range = most / 2 - least / 2;
        var scale = range > SmallestRange * Math.Max(Math.Abs(least), Math.Abs(most)) ? range : 1;
        var centre = least / 2 + most / 2;
        var changes = new float[rates.Length - 1];
        for (var i = 0; i < changes.Length; i++)
        {
            changes[i] = (float)((rates[i + 1] - rates[i] - centre) / scale);
        }
        var every = (heldOut.Length + MostHeldOut - 1) / MostHeldOut;
        return new TrainingWindows(shape, changes, centre, scale, training, [.. heldOut.Where((_, i) => i % every == 0)]);
    }

    /// <summary>The changes that some windows show, [time][window], and those that follow, [window][step].</summary>
    public (float[] Shown, float[] Wanted) Batch(ReadOnlySpan<int> places)
    {
        var (shown, wanted) = (new float[_shape.Window * places.Length], new float[_shape.Horizon * places.Length]);
        for (var i = 0; i < places.Length; i++)
        {
            for (var time = 0; time < _shape.Window; time++)
            {
                shown[time * places.Length + i] = _changes[places[i] + time];
            }
            _changes.AsSpan(places[i] + _shape.Window, _shape.Horizon).CopyTo(wanted.AsSpan(i * _shape.Horizon));
        }
        return (shown, wanted);
    }
}
