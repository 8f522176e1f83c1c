namespace MArk.Serving.Provisioning;

/// <summary>What spilling costs a request, where it can be done in time.</summary>
/// <param name="PricePerRequest">US dollars.</param>
/// <param name="Latency">How long a warm environment takes, in all but one of twenty cases.</param>
internal readonly record struct SpilloverTerms(double PricePerRequest, TimeSpan Latency);
