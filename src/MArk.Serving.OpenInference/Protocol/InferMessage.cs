using System.Buffers;

namespace MArk.Serving.OpenInference.Protocol;

/// <summary>A request for inference, or the answer to one, and the pooled memory that its tensors lie in.</summary>
internal sealed class InferMessage : IDisposable
{
    private readonly List<byte[]> _rented = [];

    public string? Id { get; set; }

    /// <summary>Of a request over gRPC and of an answer; a request over REST names it in its address.</summary>
    public string? ModelName { get; set; }

    public string? ModelVersion { get; set; }

    public List<WireTensor> Tensors { get; } = [];

    /// <summary>The outputs that a request asks for; all if it names none.</summary>
    public List<RequestedOutput> RequestedOutputs { get; } = [];

    /// <summary>Whether outputs are wanted in the binary form where the request does not say so of each.</summary>
    public bool WantsBinary { get; set; }

    /// <summary>The time within which the answer is worth having.</summary>
    public TimeSpan? Timeout { get; set; }

    public RequestPriority Priority { get; set; }

    /// <summary>Requests of different keys never share a batch.</summary>
    public string? Key { get; set; }

    public string? Tenant { get; set; }

    /// <summary>Memory that is given back with the message.</summary>
    public Memory<byte> Rent(int size)
    {
        if (size == 0)
        {
            return default;
        }
        var memory = ArrayPool<byte>.Shared.Rent(size);
        _rented.Add(memory);
        return memory.AsMemory(0, size);
    }

    /// <summary>Takes memory of the pool over, to give it back with the message.</summary>
    public void Own(byte[] rented) => _rented.Add(rented);

    public void Dispose()
    {
        foreach (var memory in _rented)
        {
            ArrayPool<byte>.Shared.Return(memory);
        }
        _rented.Clear();
        Tensors.Clear();
    }
}

/// <summary>An output that a request asks for.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsBinary">Whether in the binary form; <see langword="null"/> where the request does not say.</param>
internal readonly record struct RequestedOutput(string Name, bool? IsBinary);
