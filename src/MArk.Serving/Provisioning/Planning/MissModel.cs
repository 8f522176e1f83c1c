namespace MArk.Serving.Provisioning.Planning;

/// <summary>What a request costs that the fleet cannot answer in time, and which are those.</summary>
/// <param name="PricePerRequest">US dollars.</param>
/// <param name="AllowedShare">The share of a step's requests that may miss at no price; 0 where every miss is paid for.</param>
/// <param name="Waiting">The wait; nothing where only what exceeds the capacity misses.</param>
/// <param name="Burstiness">How much the load goes up and down within a step, too fast for the fleet to follow: the squared coefficient of variation beyond that of a Poisson process; at least 0.</param>
internal readonly record struct MissModel(double PricePerRequest, double AllowedShare = 0, EffectiveDemand? Waiting = null, double Burstiness = 0)
{
    // As much is what the samples' noise says of a Poisson process.
    private const double Negligible = 0.02;

    /// <summary>
    /// What the load is a multiple of its mean by, and for which share of the time: on or off, as in an interrupted Poisson process (Kuczura, Bell System Technical Journal 52, 1973) of that variation.
    /// </summary>
    public ReadOnlySpan<(double Factor, double Share)> Bursts => Burstiness < Negligible ? [(1, 1)] : new[] { (0, Burstiness / (1 + Burstiness)), (1 + Burstiness, 1 / (1 + Burstiness)) };
}
