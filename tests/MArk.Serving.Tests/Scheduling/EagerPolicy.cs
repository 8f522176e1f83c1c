namespace MArk.Serving.Tests.Scheduling;

/// <summary>Sends all that may go, at once.</summary>
internal sealed class EagerPolicy : IBatchPolicy
{
    public BatchDecision Decide(in BatchContext context) => BatchDecision.Dispatch(context.Deadlines.Length);

    public void Completed(in BatchFeedback feedback)
    {
        // Learns nothing.
    }
}
