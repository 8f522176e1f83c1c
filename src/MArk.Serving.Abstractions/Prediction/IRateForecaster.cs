namespace MArk.Serving;

/// <summary>
/// Forecasts the mean arrival rate of the intervals to come as one number each; how far such numbers have been off gives the distribution that an
/// <see cref="IWorkloadPredictor"/> answers with. Made for one interval length. Pure and single-threaded: no clock, no thread, no I/O of its own, and the
/// same observations give the same forecasts. One that learns in training of its own is <see cref="ITrainable"/> too.
/// </summary>
public interface IRateForecaster
{
    /// <summary>Learns from one finished interval. Intervals come in ascending order; one that nobody counted does not come: a gap is not a zero.</summary>
    /// <param name="start">When the interval began, UTC; a whole number of interval lengths after those seen before.</param>
    /// <param name="rate">The interval's mean rate, requests per second; finite, at least 0.</param>
    void Observe(DateTimeOffset start, double rate);

    /// <summary>Forecasts from the intervals seen so far; nothing but the answer changes. Without any, every rate is 0.</summary>
    /// <param name="start">When the first interval to forecast begins, UTC; later than every interval seen, and after a gap not the one right after the last.</param>
    /// <param name="rates">Filled with the mean rates of consecutive intervals, requests per second; finite, at least 0.</param>
    void Forecast(DateTimeOffset start, Span<double> rates);
}
