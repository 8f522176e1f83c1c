using MArk.Serving.Configuration;

namespace MArk.Serving.Engine;

/// <summary>What a single request may be at most: what could never share the queue or a batch is refused before it is queued.</summary>
internal sealed class RequestLimits(ModelOptions options)
{
    private readonly int _maxWeight = options.MaxBatchWeight ?? int.MaxValue;

    /// <summary>Why a request cannot be taken; nothing if it can.</summary>
    public InvalidInputException? Check(in RequestTraits traits)
    {
        if (traits.Weight < 1 || traits.Weight > _maxWeight)
        {
            return new InvalidInputException("weight", FormattableString.Invariant($"it is {traits.Weight}; accepted: 1 to {_maxWeight} (MaxBatchWeight)."));
        }
        if (traits.Bytes < 0 || traits.Bytes > options.MaxQueueBytes)
        {
            return new InvalidInputException("size", FormattableString.Invariant($"it is {traits.Bytes} bytes; accepted: 0 to {options.MaxQueueBytes} (MaxQueueBytes)."));
        }
        return null;
    }
}
