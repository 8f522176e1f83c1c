namespace MArk.Serving.OpenInference;

/// <summary>What a message of the Open Inference Protocol may be at most. What is larger is refused before memory is taken for it.</summary>
public sealed record WireLimits
{
    /// <summary>The most bytes of a message, 1 to 2147483591. Default 64 MiB.</summary>
    public int MaxBytes { get; init; } = 64 << 20;

    /// <summary>The most dimensions of a tensor, the batch among them, 1 to 64. Default 16.</summary>
    public int MaxRank { get; init; } = 16;

    /// <summary>The most tensors of a message, 1 to 65536. Default 256.</summary>
    public int MaxTensors { get; init; } = 256;

    /// <summary>The most items of a batch, 1 to 1048576. Default 4096.</summary>
    public int MaxItems { get; init; } = 4096;

    /// <summary>The first value outside its range, and what is accepted; nothing if all are within.</summary>
    internal string? Violation =>
        MaxBytes is < 1 or > 2147483591 ? $"{nameof(MaxBytes)} is {MaxBytes}; accepted: 1 to 2147483591."
        : MaxRank is < 1 or > 64 ? $"{nameof(MaxRank)} is {MaxRank}; accepted: 1 to 64."
        : MaxTensors is < 1 or > 65_536 ? $"{nameof(MaxTensors)} is {MaxTensors}; accepted: 1 to 65536."
        : MaxItems is < 1 or > 1 << 20 ? $"{nameof(MaxItems)} is {MaxItems}; accepted: 1 to 1048576."
        : null;
}
