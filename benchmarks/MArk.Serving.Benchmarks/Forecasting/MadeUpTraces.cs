using MArk.Serving.Simulation;

namespace MArk.Serving.Benchmarks.Forecasting;

/// <summary>Arrivals by the recipe: Poisson around a rate, in slots of 5 s.</summary>
internal static class MadeUpTraces
{
    private static readonly TimeSpan Slot = TimeSpan.FromSeconds(5);

    /// <summary>Five traces.</summary>
    /// <param name="seed">What they are drawn with.</param>
    /// <param name="days">
    /// How long each lasts, its events in proportion; the diurnal one lasts four times as long. More than one, or the season of the baseline, a day, is never seen.
    /// </param>
    /// <param name="quick">Whether they last nine hours, whatever else is said.</param>
    public static IEnumerable<(string Name, ArrivalTrace Trace)> All(int seed, int days, bool quick)
    {
        var length = quick ? TimeSpan.FromHours(9) : TimeSpan.FromDays(days);
        // A day's season with noise that lasts for some minutes.
        yield return ("diurnal", Make(seed, quick ? length : 4 * length, random =>
        {
            var noise = 0.0;
            return at =>
            {
                noise = 0.98 * noise + 0.03 * Sampling.Normal(random);
                return 20 * (1 + 0.7 * Math.Sin(2 * Math.PI * at.TotalDays)) * Math.Exp(noise);
            };
        }));
        // Two states, left at random.
        yield return ("mmpp", Make(seed + 1, length, random =>
        {
            var isHigh = false;
            return _ =>
            {
                isHigh ^= random.NextDouble() < 1.0 / 120;
                return isHigh ? 40 : 8;
            };
        }));
        yield return ("flash-crowd", Make(seed + 2, length, _ => at =>
        {
            var since = (at - length / 2).TotalMinutes;
            return 5 + (since < 0 ? 0 : 150 * Math.Min(since / 2, 1) * Math.Exp(-Math.Max(0, since - 10) / 30));
        }));
        yield return ("step", Make(seed + 3, length, _ => at => at < 0.4 * length ? 10 : at < 0.7 * length ? 60 : 25));
        yield return ("ramp", Make(seed + 4, length, _ => at => 5 + 60 * (at / length)));
    }

    private static ArrivalTrace Make(int seed, TimeSpan duration, Func<Random, Func<TimeSpan, double>> recipe)
    {
        var random = new Random(seed);
        var rate = recipe(random);
        var counts = new double[(int)(duration / Slot)];
        for (var i = 0; i < counts.Length; i++)
        {
            counts[i] = Poisson(random, rate(i * Slot) * Slot.TotalSeconds);
        }
        return new ArrivalTrace(Slot, counts);
    }

    private static int Poisson(Random random, double mean)
    {
        var count = 0;
        for (var at = -Math.Log(1 - random.NextDouble()); at < mean; at -= Math.Log(1 - random.NextDouble()))
        {
            count++;
        }
        return count;
    }
}
