using MArk.Serving.Simulation;

namespace MArk.Serving.Benchmarks.Forecasting;

/// <summary>Arrivals as a predictor sees them: samples of one length, NaN where nobody counted, and the intervals that are forecast.</summary>
internal sealed class ForecastSeries
{
    private static readonly TimeSpan ShortestSample = TimeSpan.FromSeconds(5);

    // A Monday.
    private static readonly DateTimeOffset Begin = new(2024, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public ForecastSeries(string name, ArrivalTrace trace, TimeSpan? step = null)
    {
        Name = name;
        var together = trace.SlotLength < ShortestSample ? (int)Math.Max(1, Math.Round(ShortestSample / trace.SlotLength)) : 1;
        SampleLength = together * trace.SlotLength;
        Counts = new double[trace.Counts.Count / together];
        for (var i = 0; i < Counts.Length; i++)
        {
            for (var slot = i * together; slot < (i + 1) * together; slot++)
            {
                Counts[i] += trace.IsGap(slot) ? double.NaN : trace.Counts[slot];
            }
        }
        PerInterval = (int)Math.Max(1, Math.Round((step ?? TimeSpan.FromMinutes(1)) / SampleLength));
        Step = PerInterval * SampleLength;
    }

    public string Name { get; }

    public TimeSpan SampleLength { get; }

    /// <summary>The requests of each sample.</summary>
    public double[] Counts { get; }

    public TimeSpan Step { get; }

    public int PerInterval { get; }

    public int Intervals => Counts.Length / PerInterval;

    public DateTimeOffset StartOf(int interval) => Begin + interval * Step;

    public ReadOnlySpan<double> SamplesOf(int interval) => Counts.AsSpan(interval * PerInterval, PerInterval);

    /// <summary>The mean rate of an interval; NaN if nobody counted all of it.</summary>
    public double RateOf(int interval)
    {
        var sum = 0.0;
        foreach (var count in SamplesOf(interval))
        {
            sum += count;
        }
        return sum / Step.TotalSeconds;
    }

    public ArrivalSample Sample(int index) => new(Begin + index * SampleLength, SampleLength, (long)Math.Round(Counts[index]));
}
