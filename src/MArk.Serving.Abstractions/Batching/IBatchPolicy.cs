namespace MArk.Serving;

/// <summary>Decides how long an idle instance waits for more requests and how many it takes at once.</summary>
/// <remarks>
/// Pure and single-threaded: called by the scheduler with everything it may know, never concurrently; it must not block,
/// read a clock, or keep a reference to the context. One policy serves one model on one offering.
/// An answer outside the contract is reported as a <see cref="ContractViolationException"/> and replaced by
/// "dispatch as many as fit".
/// </remarks>
public interface IBatchPolicy
{
    /// <summary>What an idle instance does now.</summary>
    /// <param name="context">The candidates, the instance and the model's state. There is at least one candidate.</param>
    /// <returns>Dispatch some, wait until an instant, or wait for the next event.</returns>
    BatchDecision Decide(in BatchContext context);

    /// <summary>Tells how a dispatched batch went.</summary>
    /// <param name="feedback">Size, duration and outcome.</param>
    void Completed(in BatchFeedback feedback);
}

/// <summary>What a batch policy is made for.</summary>
/// <param name="ModelName">The model.</param>
/// <param name="OfferingName">The offering its instances are of.</param>
/// <param name="Slo">The model's latency objective.</param>
/// <param name="MaxBatchSize">The largest batch the model's options allow; an instance may allow less.</param>
public sealed record BatchPolicySettings(string ModelName, string OfferingName, TimeSpan Slo, int MaxBatchSize);

/// <summary>How a dispatched batch went.</summary>
/// <param name="BatchSize">How many requests it held.</param>
/// <param name="Duration">How long it had the instance: from the hand-over until it was done, without the wait for a batch that ran before it.</param>
/// <param name="Succeeded">Whether the run as a whole succeeded; single requests may have failed even so.</param>
/// <param name="MissedDeadlines">How many of its requests ended after their deadline.</param>
public readonly record struct BatchFeedback(int BatchSize, TimeSpan Duration, bool Succeeded, int MissedDeadlines);
