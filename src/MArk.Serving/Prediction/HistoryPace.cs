namespace MArk.Serving.Prediction;

/// <summary>
/// After which intervals of a history forecasts are made, to learn from how far off they are. That is what costs, and the start of a host waits for it: of a long
/// history only the last days count for it, and of them a part that stands for all. Without a history, after each interval.
/// </summary>
internal sealed class HistoryPace
{
    /// <summary>The most intervals of a history that is judged as a whole.</summary>
    public const int Whole = 720;

    /// <summary>How many forecasts are judged of a longer one, at most.</summary>
    public const int Forecasts = 360;

    /// <summary>Of a longer one, every how many intervals one is made. It divides neither an hour nor a day, so that all times of them are met.</summary>
    public const int Stride = 7;

    private readonly int _stride = 1;
    private int _restarts;      // still to come: what is learned until then is of intervals of another length

    /// <summary>No history is to come.</summary>
    public HistoryPace()
    {
    }

    /// <summary>A history is to come.</summary>
    /// <param name="past">It.</param>
    /// <param name="options">Those of the predictor that it is told to.</param>
    public HistoryPace(IReadOnlyList<ArrivalSample> past, PredictorOptions options)
    {
        var builder = new IntervalBuilder(options.Interval, options.SampleLength);
        try
        {
            foreach (var sample in past)
            {
                if (builder.Add(sample))
                {
                    _restarts++;
                    Ahead = 0;
                }
                while (builder.TryTake(out _))
                {
                    Ahead++;
                }
            }
        }
        catch (InvalidArrivalSampleException)
        {
            // Whoever tells it is told so; here the history ends before it.
        }
        _stride = Ahead <= Whole ? 1 : Stride;
    }

    /// <summary>How many intervals are to come, of the length that they have at last.</summary>
    public int Ahead { get; private set; }

    /// <summary>For how many intervals one that is judged stands.</summary>
    public int Weight => Ahead > 0 ? _stride : 1;

    /// <summary>Intervals have another length from here on.</summary>
    public void Restart() => _restarts = Math.Max(0, _restarts - 1);

    /// <summary>An interval came: is a forecast made after it?</summary>
    public bool Next()
    {
        if (_restarts > 0)
        {
            return false;
        }
        Ahead = Math.Max(0, Ahead - 1);
        return Ahead % _stride == 0 && (_stride == 1 || Ahead < Forecasts * Stride);
    }
}
