using MArk.Serving.Provisioning;
using MArk.Serving.Provisioning.Planning;

namespace MArk.Serving.Simulation.Baselines;

/// <summary>Provisioning for the peak: a fleet that does not change, large enough for the highest load there will be.</summary>
public static class StaticPeak
{
    /// <summary>
    /// The fewest instances that can carry a rate for as long as it lasts: their capacity is at least the rate, and no larger share of requests than is allowed to miss has to wait too long
    /// for one of them (M/M/c with balking, scaled for batches, as the planner has it). A minute's mean is a good peak rate; that of a few seconds is an accident of the draw.
    /// </summary>
    /// <param name="profile">How long a batch of each size takes.</param>
    /// <param name="peakRate">The rate, requests per second; at least 0, finite.</param>
    /// <param name="slo">The latency objective.</param>
    /// <param name="maxBatchSize">The largest batch allowed; at least 1.</param>
    /// <param name="serviceLevel">The share of requests that should be answered within the objective: more than 0, less than 1.</param>
    /// <returns>How many; at least 1.</returns>
    /// <exception cref="ArgumentException">A value is outside its range, or not even a lone request ends within the objective.</exception>
    public static int Instances(LatencyProfile profile, double peakRate, TimeSpan slo, int maxBatchSize, double serviceLevel)
    {
        ArgumentNullException.ThrowIfNull(profile);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxBatchSize, 1);
        if (!(peakRate >= 0 && double.IsFinite(peakRate)))
        {
            throw new ArgumentOutOfRangeException(nameof(peakRate), peakRate, "A peak rate is finite and at least 0.");
        }
        if (!(serviceLevel is > 0 and < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(serviceLevel), serviceLevel, "A service level is more than 0 and less than 1.");
        }
        if (profile.ServiceWithin(slo, maxBatchSize) is null)
        {
            throw new ArgumentException(FormattableString.Invariant($"A lone request takes up to {profile.High(1).TotalMilliseconds} ms, more than the objective of {slo.TotalMilliseconds} ms."), nameof(profile));
        }
        var instances = 1;
        while (!Carry(instances))
        {
            instances++;
        }
        return instances;

        // The more there are, the larger batches each may have.
        bool Carry(int count)
        {
            var service = profile.ServiceWithin(slo, maxBatchSize, count)!.Value;
            var load = peakRate / service.Throughput;
            return load == 0 || (load <= count && WaitingLoss.Share(count, load, 2 * service.BatchSize * (service.Slack / service.BatchTime)) <= 1 - serviceLevel);
        }
    }

    /// <summary>A planner of that fleet, of one offering.</summary>
    /// <param name="offerings">What the simulation can launch, <see cref="SimulatedScaling.Offerings"/>.</param>
    /// <param name="offering">The name of the one to have.</param>
    /// <param name="peakRate">The rate, requests per second; at least 0, finite.</param>
    /// <param name="slo">The latency objective.</param>
    /// <param name="maxBatchSize">The largest batch allowed; at least 1.</param>
    /// <param name="serviceLevel">The share of requests that should be answered within the objective: more than 0, less than 1.</param>
    /// <returns>The planner.</returns>
    /// <exception cref="ArgumentException">A value is outside its range, there is no such offering to plan, or it cannot answer a lone request within the objective.</exception>
    public static StaticPlanner CreatePlanner(IReadOnlyList<SimulatedInstance> offerings, string offering, double peakRate, TimeSpan slo, int maxBatchSize, double serviceLevel)
    {
        ArgumentNullException.ThrowIfNull(offerings);
        // A planner's columns are without standby offerings.
        var planned = offerings.Where(o => o.Offering.Market != InstanceMarket.Standby).ToList();
        var index = planned.FindIndex(o => o.Offering.Name == offering);
        if (index < 0)
        {
            throw new ArgumentException($"There is no offering '{offering}' to plan; accepted: {string.Join(", ", planned.Select(o => o.Offering.Name))}.", nameof(offering));
        }
        var counts = new int[planned.Count];
        counts[index] = Instances(planned[index].Profile, peakRate, slo, maxBatchSize, serviceLevel);
        return new StaticPlanner(counts);
    }
}
