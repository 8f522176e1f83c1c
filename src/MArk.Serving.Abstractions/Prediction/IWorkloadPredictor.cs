namespace MArk.Serving;

/// <summary>Forecasts a model's arrival rate as a distribution. Pure and single-threaded: no clock, no thread, no I/O of its own. One that needs training is <see cref="ITrainable"/> too.</summary>
public interface IWorkloadPredictor
{
    /// <summary>Learns from one finished slot. Slots come in ascending order; a slot that nobody counted does not come: a gap is not a zero.</summary>
    /// <param name="sample">The slot.</param>
    void Observe(in ArrivalSample sample);

    /// <summary>Fills the caller's buffer from the samples seen so far.</summary>
    /// <param name="forecast">The buffer; its start, step and horizon are set. Every value must be finite, not negative, and not fall with the quantile.</param>
    /// <exception cref="ArgumentException">
    /// The buffer has more steps, or others, than can be forecast whatever was seen; <see cref="ArgumentException.ParamName"/> is <c>forecast</c>. The host asks once at its start, before there are any
    /// samples, and does not start then. To have seen too little is no error: the buffer is filled with what is known, zeros at worst.
    /// </exception>
    void Forecast(WorkloadForecast forecast);
}

/// <summary>The requests that arrived in one slot. Slots are aligned to the Unix epoch, so that the counts of several hosts add exactly.</summary>
/// <param name="Start">When the slot began, UTC.</param>
/// <param name="Length">How long it was; 5 s unless configured.</param>
/// <param name="Count">How many requests arrived in it.</param>
public readonly record struct ArrivalSample(DateTimeOffset Start, TimeSpan Length, long Count)
{
    /// <summary>The mean rate, requests per second.</summary>
    public double Rate => Count / Length.TotalSeconds;

    /// <summary>The highest rate of a shorter slot within it, requests per second: its own rate, unless it was put together from shorter ones.</summary>
    public double PeakRate
    {
        get => field > 0 ? field : Rate;
        init;
    }

    /// <summary>
    /// How much the rate goes up and down within it, on windows as long as the latency objective: the squared coefficient of variation beyond that of a Poisson process. 0 for one, and where it
    /// was not counted; 2 where all requests come in every third window; less than 0 where they keep their distance.
    /// </summary>
    public double Burstiness { get; init; }
}
