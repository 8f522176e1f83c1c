using MArk.Serving;
using MArk.Serving.Batching;
using MArk.Serving.Provisioning;
using MArk.Serving.Simulation;

namespace QuickStart;

/// <summary>What the same arrivals come to otherwise: simulated, with the scheduler, the fleet controller and the profiles that served.</summary>
internal sealed class Comparison(Setup setup, IReadOnlyList<TimeSpan> arrivals, LatencyProfile served)
{
    private const double ServiceLevel = 0.99;

    private readonly SimulatedInstance _kind = new(setup.Offering, served);

    /// <summary>As it was served: to see that the simulator tells what happened.</summary>
    public SimulationResult AsServed() => Scaled(_ => new SloAwareBatchPolicy(), Setup.MaxBatchSize, setup.Offering.MaxInstances);

    /// <summary>One request at a time, and otherwise the same.</summary>
    public SimulationResult WithoutBatching() => Scaled(_ => new NoBatchingPolicy(), maxBatchSize: 1, maxInstances: 1_000);

    /// <summary>The smallest fleet that, kept from start to end, serves the day within the objective without spilling.</summary>
    public (SimulationResult Result, int Instances) PeakFleet()
    {
        for (var instances = 1; ; instances++)
        {
            var result = ServingSimulator.Run(
                World(_ => new SloAwareBatchPolicy(), Setup.MaxBatchSize) with { Fleet = [.. Enumerable.Repeat(_kind, instances)] }, arrivals);
            if (result.SloAttainment >= ServiceLevel || instances == 1_000)
            {
                return (result, instances);
            }
        }
    }

    private SimulationResult Scaled(Func<BatchPolicySettings, IBatchPolicy> policy, int maxBatchSize, int maxInstances) => ServingSimulator.Run(
        World(policy, maxBatchSize) with
        {
            Fleet = [_kind],
            Spillover = new SimulatedSpillover(served.High(1), setup.SpillPrice, Setup.SpillConcurrency),
            Scaling = new SimulatedScaling
            {
                Offerings = [_kind with { Offering = setup.Offering with { MaxInstances = maxInstances } }],
                CreatePredictor = setup.CreatePredictor,
                CreatePlanner = () => new CostOptimalPlanner(),
                Options = setup.Fleet(maxInstances),
            },
        },
        arrivals);

    private SimulationSettings World(Func<BatchPolicySettings, IBatchPolicy> policy, int maxBatchSize) => new()
    {
        Slo = setup.Slo,
        MaxBatchSize = maxBatchSize,
        CreatePolicy = policy,
        Duration = setup.Duration,
    };
}
