namespace MArk.Serving.Simulation;

/// <summary>
/// Made-up traces, in slots of a second whose counts are expectations: arrivals drawn from them are Poisson about the recipe's rate. The same seed gives the same trace.
/// </summary>
public static class Workloads
{
    private const double NoisePersistence = 0.95;       // of a minute's noise, what is left of it in the next
    private static readonly TimeSpan Slot = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(31);

    /// <summary>The same rate always.</summary>
    /// <param name="duration">How long it lasts: 1 s to 31 days.</param>
    /// <param name="rate">Requests per second; finite, more than 0.</param>
    /// <returns>The trace.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range; says which.</exception>
    public static ArrivalTrace Constant(TimeSpan duration, double rate)
    {
        CheckRate(rate);
        return Make(duration, _ => rate);
    }

    /// <summary>
    /// Days: a sine from valley to peak and back in 24 hours, times noise. The noise's logarithm is an AR(1) process of a minute's step, whose coefficient is 0.95.
    /// </summary>
    /// <param name="duration">How long it lasts: 1 s to 31 days.</param>
    /// <param name="meanRate">The mean over a day, requests per second; finite, more than 0.</param>
    /// <param name="peakOverValley">The highest rate over the lowest, noise left out; finite, at least 1.</param>
    /// <param name="noise">The standard deviation of the noise's logarithm in the long run: 0 to 1.</param>
    /// <param name="seed">Seeds the noise.</param>
    /// <returns>The trace.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range; says which.</exception>
    public static ArrivalTrace Diurnal(TimeSpan duration, double meanRate, double peakOverValley, double noise, int seed)
    {
        CheckRate(meanRate);
        if (noise is not (>= 0 and <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(noise), noise, "Accepted is 0 to 1.");
        }
        if (!(double.IsFinite(peakOverValley) && peakOverValley >= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(peakOverValley), peakOverValley, "Accepted is a finite number of at least 1.");
        }
        var random = new Random(seed);
        var swing = (peakOverValley - 1) / (peakOverValley + 1);
        var logarithm = noise * Sampling.Normal(random);
        var minute = 0L;
        return Make(duration, at =>
        {
            for (; minute < at.Ticks / TimeSpan.TicksPerMinute; minute++)
            {
                logarithm = NoisePersistence * logarithm + noise * Math.Sqrt(1 - NoisePersistence * NoisePersistence) * Sampling.Normal(random);
            }
            return meanRate * (1 - swing * Math.Cos(2 * Math.PI * at.TotalDays)) * Math.Exp(logarithm);
        });
    }

    /// <summary>A Poisson process modulated by a Markov chain: rates that take turns, in order, each for an exponential time.</summary>
    /// <param name="duration">How long it lasts: 1 s to 31 days.</param>
    /// <param name="rates">The rates, requests per second; at least two, finite, at least 0.</param>
    /// <param name="meanDwells">For how long each rate lasts on average; as many, each more than zero.</param>
    /// <param name="seed">Seeds the times.</param>
    /// <returns>The trace.</returns>
    /// <exception cref="ArgumentException">A value is outside its range; says which.</exception>
    public static ArrivalTrace Mmpp(TimeSpan duration, IReadOnlyList<double> rates, IReadOnlyList<TimeSpan> meanDwells, int seed)
    {
        ArgumentNullException.ThrowIfNull(rates);
        ArgumentNullException.ThrowIfNull(meanDwells);
        if (rates.Count < 2 || rates.Count != meanDwells.Count || rates.Any(r => !(double.IsFinite(r) && r >= 0)) || rates.All(r => r == 0) || meanDwells.Any(d => d <= TimeSpan.Zero))
        {
            throw new ArgumentException(
                FormattableString.Invariant($"There are {rates.Count} rates and {meanDwells.Count} mean dwells; accepted are at least two rates, finite, at least 0 and not all 0, and for each a dwell of more than zero."), nameof(rates));
        }
        var random = new Random(seed);
        var state = 0;
        var until = meanDwells[0] * Sampling.Exponential(random);
        return Make(duration, at =>
        {
            while (at >= until)
            {
                state = (state + 1) % rates.Count;
                until += meanDwells[state] * Sampling.Exponential(random);
            }
            return rates[state];
        });
    }

    /// <summary>A rate that rises within two minutes to a multiple, holds for ten, and falls back, to a third of the excess every half hour.</summary>
    /// <param name="duration">How long it lasts: 1 s to 31 days.</param>
    /// <param name="rate">The rate before, requests per second; finite, more than 0.</param>
    /// <param name="times">The multiple; finite, at least 1.</param>
    /// <param name="at">When the rise begins.</param>
    /// <returns>The trace.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range; says which.</exception>
    public static ArrivalTrace FlashCrowd(TimeSpan duration, double rate, double times, TimeSpan at)
    {
        CheckRate(rate);
        CheckTimes(times);
        return Make(duration, now =>
        {
            var minutes = (now - at).TotalMinutes;
            return minutes < 0 ? rate : rate * (1 + (times - 1) * Math.Min(1, minutes / 2) * Math.Exp(-Math.Max(0, minutes - 12) * Math.Log(3) / 30));
        });
    }

    /// <summary>A rate that is a multiple from one second to the next.</summary>
    /// <param name="duration">How long it lasts: 1 s to 31 days.</param>
    /// <param name="rate">The rate before, requests per second; finite, more than 0.</param>
    /// <param name="times">The multiple; finite, at least 1.</param>
    /// <param name="at">When it rises.</param>
    /// <returns>The trace.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range; says which.</exception>
    public static ArrivalTrace Surge(TimeSpan duration, double rate, double times, TimeSpan at)
    {
        CheckRate(rate);
        CheckTimes(times);
        return Make(duration, now => now < at ? rate : rate * times);
    }

    private static ArrivalTrace Make(TimeSpan duration, Func<TimeSpan, double> rate)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(duration, Slot);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(duration, Longest);
        var counts = new double[(int)Math.Ceiling(duration / Slot)];
        for (var i = 0; i < counts.Length; i++)
        {
            counts[i] = rate(i * Slot) * Slot.TotalSeconds;
        }
        return new ArrivalTrace(Slot, counts);
    }

    private static void CheckRate(double rate)
    {
        if (!(double.IsFinite(rate) && rate > 0))
        {
            throw new ArgumentOutOfRangeException(nameof(rate), rate, "Accepted is a finite number of more than 0.");
        }
    }

    private static void CheckTimes(double times)
    {
        if (!(double.IsFinite(times) && times >= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(times), times, "Accepted is a finite number of at least 1.");
        }
    }
}
