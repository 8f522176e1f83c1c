using MArk.Serving.Batching;
using MArk.Serving.Provisioning.Planning;

namespace MArk.Serving.Simulation.Tests;

/// <summary>What the planner takes for the share of requests that wait too long, against the scheduler in simulated time.</summary>
public sealed class WaitingLossTests
{
    [Theory]
    [InlineData(32, 5, 1, 100)]
    [InlineData(8, 40, 40, 1000)]
    [InlineData(1, 0, 10, 25)]
    public void TheShareThatMissesAtALoadIsThatOfTheScheduler(int batch, double fixedMs, double perItemMs, double sloMs)
    {
        var profile = LatencyProfile.Linear(TimeSpan.FromMilliseconds(fixedMs), TimeSpan.FromMilliseconds(perItemMs), batch);
        var slo = TimeSpan.FromMilliseconds(sloMs);
        var service = profile.ServiceWithin(slo, batch)!.Value;
        Assert.Equal(profile.CapacityWithin(slo, batch), service.Throughput, 6);
        foreach (var servers in new[] { 1, 4 })
        {
            foreach (var use in new[] { 0.6, 0.9, 1, 1.1 })
            {
                var load = use * servers;
                var share = WaitingLoss.Share(servers, load, 2 * service.BatchSize * (service.Slack / service.BatchTime));
                Assert.Equal(share, Simulated(profile, slo, servers, load * service.Throughput), 0.005 + 0.1 * share);
            }
        }
    }

    /// <summary>The share that no instance can answer in time, and that is spilled, of 30,000 Poisson arrivals.</summary>
    private static double Simulated(LatencyProfile profile, TimeSpan slo, int servers, double rate)
    {
        var arrivals = new ArrivalTrace(TimeSpan.FromSeconds(1), Enumerable.Repeat(rate, (int)Math.Ceiling(30_000 / rate)).ToArray()).Arrivals(seed: 3).ToList();
        var instance = new SimulatedInstance(new InstanceOffering { Name = "o" }, profile);
        var result = ServingSimulator.Run(
            new SimulationSettings
            {
                Slo = slo,
                MaxBatchSize = profile.MaxBatchSize,
                CreatePolicy = _ => new SloAwareBatchPolicy(),
                Fleet = [.. Enumerable.Repeat(instance, servers)],
                Spillover = new SimulatedSpillover(TimeSpan.FromMilliseconds(1), 1, 100_000),
            },
            arrivals);
        return 1 - result.SloAttainment + (double)result.Spilled / result.Requests;
    }
}
