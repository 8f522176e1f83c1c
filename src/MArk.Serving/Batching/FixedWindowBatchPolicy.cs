namespace MArk.Serving.Batching;

/// <summary>The usual window of other servers: a batch leaves when it is full, or when its oldest request has waited long enough. Looks at no deadline.</summary>
public sealed class FixedWindowBatchPolicy : IBatchPolicy
{
    private readonly int _maxSize;
    private readonly TimeSpan _maxDelay;

    /// <summary>A window.</summary>
    /// <param name="maxSize">The batch size that leaves at once; at least 1.</param>
    /// <param name="maxDelay">The longest the oldest request is held; not negative.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    public FixedWindowBatchPolicy(int maxSize, TimeSpan maxDelay)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxSize, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxDelay, TimeSpan.Zero);
        _maxSize = maxSize;
        _maxDelay = maxDelay;
    }

    /// <inheritdoc/>
    public BatchDecision Decide(in BatchContext context)
    {
        if (context.IsFull || context.QueueLength >= _maxSize)
        {
            return BatchDecision.Dispatch(Math.Min(_maxSize, context.Deadlines.Length));
        }
        var leaves = context.HeadArrival + _maxDelay;
        return leaves <= context.Now ? BatchDecision.Dispatch(context.Deadlines.Length) : BatchDecision.WaitUntil(leaves);
    }

    /// <inheritdoc/>
    public void Completed(in BatchFeedback feedback)
    {
        // A fixed window learns nothing.
    }
}
