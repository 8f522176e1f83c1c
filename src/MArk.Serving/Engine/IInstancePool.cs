using MArk.Serving.Profiling;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Engine;

/// <summary>What a fleet's operator asks of the engine it provides instances for. Thread-safe.</summary>
internal interface IInstancePool
{
    /// <summary>Loads the model on a machine, warms it up, measures it where nothing is known of it, and lets it take batches.</summary>
    Task ConnectAsync(InstanceDescriptor machine, int offering, CancellationToken cancellationToken);

    /// <summary>Gives an instance nothing new; the operator's <see cref="FleetOperator.OnDrained"/> is called once it runs nothing any more.</summary>
    void Drain(string instanceId);

    /// <summary>Takes an instance away that is gone.</summary>
    void Lose(string instanceId);

    /// <summary>When the next instance is expected; nothing if none is on its way.</summary>
    void ExpectCapacity(DateTimeOffset? readyAt);

    /// <summary>The slots of counted arrivals that have ended since the last call.</summary>
    void TakeSamples(DateTimeOffset now, List<ArrivalSample> samples);

    /// <summary>The slots of requests that have been decided since the last call.</summary>
    void TakeOutcomes(List<OutcomeSample> outcomes);

    /// <summary>What spilling costs now; nothing where there is no spillover, or where it takes longer than the objective.</summary>
    SpilloverTerms? Spillover();

    /// <summary>Warms environments of the spillover target up, if it has such.</summary>
    Task PrewarmAsync(int concurrency, CancellationToken cancellationToken);

    /// <summary>What an instance of an offering sustains, as measured so far.</summary>
    CapacityCurve CapacityOf(int offering);
}
