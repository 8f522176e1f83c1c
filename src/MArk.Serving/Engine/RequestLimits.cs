using MArk.Serving.Configuration;

namespace MArk.Serving.Engine;

/// <summary>What a single request may be at most: what could never share the queue or a batch is refused before it is queued.</summary>
internal sealed class RequestLimits(ModelOptions options)
{
    private readonly int _maxWeight = options.MaxBatchWeight ?? int.MaxValue;
    private readonly long _maxBytes = options.MaxQueueBytes;

    /// <summary>Whether a request can be taken.</summary>
    public bool Allow(in RequestTraits traits) =>
        traits.Weight >= 1 && traits.Weight <= _maxWeight && traits.Bytes >= 0 && traits.Bytes <= _maxBytes;

    /// <summary>Why one cannot be taken.</summary>
    public InvalidInputException ErrorOf(in RequestTraits traits) => traits.Weight < 1 || traits.Weight > _maxWeight
        ? new InvalidInputException("weight", FormattableString.Invariant($"it is {traits.Weight}; accepted: 1 to {_maxWeight} (MaxBatchWeight)."))
        : new InvalidInputException("size", FormattableString.Invariant($"it is {traits.Bytes} bytes; accepted: 0 to {_maxBytes} (MaxQueueBytes)."));
}
