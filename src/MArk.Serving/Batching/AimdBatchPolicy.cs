namespace MArk.Serving.Batching;

/// <summary>
/// The batch limit of Clipper (Crankshaw et al., NSDI 2017, section 4.3): it grows by a fixed amount while batches of that size take no longer than the objective,
/// and shrinks by 10 % when one takes longer. An idle instance takes what there is up to the limit and never waits for more.
/// </summary>
/// <remarks>
/// For comparison, and for hosts that want batches bounded by the time a batch takes: it looks at no deadline. The limit grows only by batches that
/// reached it, since a smaller one says nothing about it.
/// </remarks>
public sealed class AimdBatchPolicy : IBatchPolicy
{
    private readonly TimeSpan _objective;
    private readonly double _increase;
    private readonly double _decrease;
    private double _limit = 1;
    private int _largest = int.MaxValue;

    /// <summary>A limit that starts at 1.</summary>
    /// <param name="objective">The longest a batch should take; more than zero. Clipper takes the latency objective of a request.</param>
    /// <param name="increase">What is added to the limit at a time: more than 0, at most 1024.</param>
    /// <param name="decrease">What the limit is multiplied by when a batch took too long: more than 0, less than 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    public AimdBatchPolicy(TimeSpan objective, double increase = 1, double decrease = 0.9)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(objective, TimeSpan.Zero);
        if (!(increase is > 0 and <= 1024))
        {
            throw new ArgumentOutOfRangeException(nameof(increase), increase, "Accepted: more than 0, at most 1024.");
        }
        if (!(decrease is > 0 and < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(decrease), decrease, "Accepted: more than 0, less than 1.");
        }
        _objective = objective;
        _increase = increase;
        _decrease = decrease;
    }

    /// <summary>The largest batch it sends now.</summary>
    public int Limit => (int)_limit;

    /// <inheritdoc/>
    public BatchDecision Decide(in BatchContext context)
    {
        _largest = context.MaxBatchSize;
        return BatchDecision.Dispatch(Math.Min(Limit, context.Deadlines.Length));
    }

    /// <inheritdoc/>
    public void Completed(in BatchFeedback feedback)
    {
        if (!feedback.Succeeded)
        {
            // How long a failure takes says nothing of a batch.
            return;
        }
        if (feedback.Duration > _objective)
        {
            _limit = Math.Max(1, _limit * _decrease);
        }
        else if (feedback.BatchSize >= Limit)
        {
            _limit = Math.Max(_limit, Math.Min(_limit + _increase, _largest));
        }
    }
}
