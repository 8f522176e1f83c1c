namespace MArk.Serving.Profiling;

/// <summary>What one instance of an offering serves, by how many of it serve: the more take turns, the larger their batches may be.</summary>
internal sealed class CapacityCurve
{
    private const int MostCounts = 32;      // beyond it hardly anything changes

    // So that an instance less is not enough, whatever is rounded.
    private const double Less = 0.999;

    private readonly (double Capacity, ServicePoint? Service)[] _byCount;

    private CapacityCurve((double, ServicePoint?)[] byCount) => _byCount = byCount;

    /// <summary>Whether it is known at all.</summary>
    public bool IsMeasured => !double.IsNaN(_byCount[0].Capacity);

    /// <summary>The same however many there are.</summary>
    /// <param name="capacity">Requests per second; NaN where it is not known.</param>
    /// <param name="service">How an instance serves.</param>
    public static CapacityCurve Constant(double capacity, ServicePoint? service) => new([(capacity, service)]);

    /// <summary>By the profiles of the offering's instances, on average.</summary>
    /// <param name="profiles">The profiles, each with its largest batch; measured ones.</param>
    /// <param name="slo">The latency objective.</param>
    public static CapacityCurve Of(IReadOnlyList<(LatencyProfile Profile, int Limit)> profiles, TimeSpan slo)
    {
        if (profiles.Count == 0)
        {
            return Constant(double.NaN, null);
        }
        var (first, limit) = profiles[0];
        return new CapacityCurve(
        [
            .. Enumerable.Range(1, MostCounts).Select(count => (profiles.Average(p => p.Profile.CapacityWithin(slo, p.Limit, count)), first.ServiceWithin(slo, limit, count))),
        ]);
    }

    /// <summary>What an instance counts for where so many are had as a load needs.</summary>
    /// <param name="rate">The load, requests per second.</param>
    public (double Capacity, ServicePoint? Service) For(double rate)
    {
        var count = 1;
        while (count < _byCount.Length && count * _byCount[count - 1].Capacity < rate)
        {
            count++;
        }
        var (capacity, service) = _byCount[count - 1];
        // One less would have smaller batches, and not serve the load, though with this capacity it would.
        return (count == 1 || count == _byCount.Length ? capacity : Math.Min(capacity, Less * rate / (count - 1)), service);
    }
}
