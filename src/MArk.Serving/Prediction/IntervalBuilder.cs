using System.Runtime.InteropServices;

namespace MArk.Serving.Prediction;

/// <summary>An interval whose samples are all there.</summary>
/// <param name="Start">When it began, UTC ticks.</param>
/// <param name="Rate">The mean rate, requests per second.</param>
/// <param name="Peak">The highest sample's rate.</param>
internal readonly record struct FinishedInterval(long Start, double Rate, double Peak);

/// <summary>
/// Puts samples together to intervals. Intervals are as long as configured; samples that are longer are intervals themselves as long as no shorter one has come,
/// and are spread over the intervals they cover afterwards. An interval of which less than half was counted is a gap.
/// </summary>
internal sealed class IntervalBuilder(TimeSpan configured, TimeSpan sampleLength)
{
    private readonly List<double> _samples = [];
    private readonly List<double> _finishedSamples = [];
    private readonly Queue<FinishedInterval> _finished = new();
    private double[] _scores = [];
    private bool _began;
    private long _phase;
    private long _start;
    private long _covered;
    private double _requests;
    private double _peak;

    /// <summary>How long an interval is, ticks.</summary>
    public long Length { get; private set; } = configured.Ticks;

    /// <summary>How long the samples are whose rate is forecast, seconds.</summary>
    public double SampleSeconds { get; private set; } = sampleLength.TotalSeconds;

    /// <summary>When the last sample ended, UTC ticks.</summary>
    public long End { get; private set; } = long.MinValue;

    /// <summary>The rates of the samples of the interval that was taken last.</summary>
    public ReadOnlySpan<double> Samples => CollectionsMarshal.AsSpan(_finishedSamples);

    /// <summary>The share of the interval under way that was counted.</summary>
    public double PartShare => (double)_covered / Length;

    /// <summary>The mean rate of that share.</summary>
    public double PartRate => _covered == 0 ? 0 : _requests / TimeSpan.FromTicks(_covered).TotalSeconds;

    /// <summary>Takes a sample; intervals that it finishes are then to be taken, all of them.</summary>
    /// <returns>Whether intervals have another length from here on.</returns>
    /// <exception cref="InvalidArrivalSampleException">The sample is none.</exception>
    public bool Add(in ArrivalSample sample)
    {
        Check(sample);
        var (start, length) = (sample.Start.UtcTicks, sample.Length.Ticks);
        var wanted = Math.Max(configured.Ticks, length);
        var changes = _began ? wanted < Length : wanted != Length;
        if (!_began || changes)
        {
            _began = true;
            Length = wanted;
            SampleSeconds = length > configured.Ticks ? sample.Length.TotalSeconds : Math.Min(sampleLength.TotalSeconds, TimeSpan.FromTicks(wanted).TotalSeconds);
            _phase = length >= Length ? start % Length : 0;
            Begin(StartOf(start));
        }
        End = start + length;
        var peak = Math.Max(sample.PeakRate, sample.Rate);
        for (var at = start; at < End;)
        {
            if (StartOf(at) != _start)
            {
                Finish();
                Begin(StartOf(at));
            }
            var until = Math.Min(End, _start + Length);
            _covered += until - at;
            _requests += sample.Rate * TimeSpan.FromTicks(until - at).TotalSeconds;
            _peak = Math.Max(_peak, peak);
            AddSamples(sample.Rate, peak, until - at);
            at = until;
            if (at == _start + Length)
            {
                Finish();
                Begin(at);
            }
        }
        return changes;
    }

    /// <summary>Takes the oldest finished interval; its samples are those of the last sample that finished one.</summary>
    public bool TryTake(out FinishedInterval interval) => _finished.TryDequeue(out interval);

    private void Check(in ArrivalSample sample)
    {
        if (sample.Length <= TimeSpan.Zero)
        {
            throw new InvalidArrivalSampleException(sample, "a length is more than zero.");
        }
        if (sample.Count < 0)
        {
            throw new InvalidArrivalSampleException(sample, "a count is at least 0.");
        }
        if (!double.IsFinite(sample.PeakRate))
        {
            throw new InvalidArrivalSampleException(sample, "a peak rate is finite.");
        }
        if (sample.Start.UtcTicks < End)
        {
            throw new InvalidArrivalSampleException(sample, FormattableString.Invariant(
                $"samples come in ascending order and do not overlap; the one before ended at {new DateTime(End, DateTimeKind.Utc):yyyy-MM-dd HH:mm:ss.FFF}Z."));
        }
    }

    private long StartOf(long ticks) => (ticks - _phase) / Length * Length + _phase;

    private void Begin(long start)
    {
        _start = start;
        _covered = 0;
        _requests = 0;
        _peak = 0;
        _samples.Clear();
    }

    private void Finish()
    {
        if (2 * _covered < Length)
        {
            return;
        }
        _finished.Enqueue(new FinishedInterval(_start, PartRate, _peak));
        _finishedSamples.Clear();
        _finishedSamples.AddRange(_samples);
    }

    /// <summary>
    /// The samples that one stands for. Of one that was put together only mean and peak are known: the highest of n normal values is expected at the
    /// quantile of (n - 0.375) / (n + 0.25) (Blom 1958), which gives their standard deviation, and Blom's scores the values.
    /// </summary>
    private void AddSamples(double rate, double peak, long ticks)
    {
        var count = (int)Math.Min(240, Math.Round(TimeSpan.FromTicks(ticks).TotalSeconds / SampleSeconds));
        if (count < 2 || peak <= rate)
        {
            _samples.Add(rate);
            return;
        }
        if (_scores.Length != count)
        {
            _scores = [.. Enumerable.Range(1, count).Select(i => NormalDistribution.Quantile((i - 0.375) / (count + 0.25)))];
        }
        var deviation = (peak - rate) / _scores[^1];
        foreach (var score in _scores)
        {
            _samples.Add(Math.Max(0, rate + deviation * score));
        }
    }
}
