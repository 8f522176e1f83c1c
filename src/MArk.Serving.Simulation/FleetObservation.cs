namespace MArk.Serving.Simulation;

/// <summary>What a monitoring system sees of a fleet in one slot: what reactive autoscalers decide from.</summary>
/// <param name="Start">When the slot began, UTC.</param>
/// <param name="Length">How long it was.</param>
/// <param name="Arrivals">Requests that arrived in it.</param>
/// <param name="Completions">Requests that instances answered in it; what was spilled is not among them.</param>
/// <param name="MeanConcurrency">Requests that waited or ran on instances, the mean over the slot's time.</param>
/// <param name="MeanReady">Instances that served, the mean over the slot's time.</param>
public readonly record struct FleetObservation(DateTimeOffset Start, TimeSpan Length, long Arrivals, long Completions, double MeanConcurrency, double MeanReady);

/// <summary>A planner that decides from what is observed of the fleet, not from a forecast alone. A simulation tells it each slot, in order, before the plan that follows.</summary>
public interface IFleetObserver
{
    /// <summary>A slot has ended.</summary>
    /// <param name="observation">What was seen of it.</param>
    void Observe(in FleetObservation observation);
}
