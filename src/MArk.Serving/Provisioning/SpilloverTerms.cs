namespace MArk.Serving.Provisioning;

/// <summary>What spilling costs a request, where it can be done in time.</summary>
/// <param name="PricePerRequest">US dollars.</param>
/// <param name="Latency">How long a warm environment takes, in all but one of twenty cases.</param>
internal readonly record struct SpilloverTerms(double PricePerRequest, TimeSpan Latency)
{
    /// <summary>The terms of a target, or nothing where it is too slow to spill to.</summary>
    /// <param name="slo">The latency objective.</param>
    /// <param name="pricePerRequest">US dollars.</param>
    /// <param name="latency">How long a warm environment takes, in all but one of twenty cases.</param>
    public static SpilloverTerms? Within(TimeSpan slo, double pricePerRequest, TimeSpan latency) => latency <= slo ? new SpilloverTerms(pricePerRequest, latency) : null;
}
