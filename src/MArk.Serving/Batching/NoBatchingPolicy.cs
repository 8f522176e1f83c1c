namespace MArk.Serving.Batching;

/// <summary>One request at a time, in order of deadlines.</summary>
public sealed class NoBatchingPolicy : IBatchPolicy
{
    /// <inheritdoc/>
    public BatchDecision Decide(in BatchContext context) => BatchDecision.Dispatch(1);

    /// <inheritdoc/>
    public void Completed(in BatchFeedback feedback)
    {
        // Nothing to learn.
    }
}
