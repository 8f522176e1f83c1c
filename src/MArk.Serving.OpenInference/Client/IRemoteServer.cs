using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>One server, spoken to about one model in one form of the protocol.</summary>
/// <remarks>Where a server refuses a call or cannot be reached, every method throws <see cref="RemoteServerException"/>, and where its answer is no answer, <see cref="WireFormatException"/>.</remarks>
internal interface IRemoteServer : IDisposable
{
    /// <summary>Whether the model is loaded and serves.</summary>
    ValueTask<bool> IsReadyAsync(CancellationToken cancellationToken);

    /// <summary>The model's tensors, as the server declares them.</summary>
    ValueTask<ModelSignature> ReadSignatureAsync(CancellationToken cancellationToken);

    /// <summary>Has the server load an artifact, and returns when it serves.</summary>
    ValueTask LoadAsync(ModelArtifact artifact, CancellationToken cancellationToken);

    /// <summary>Has the server let go of what was loaded.</summary>
    ValueTask UnloadAsync(ModelArtifact artifact, CancellationToken cancellationToken);

    /// <summary>Runs a batch.</summary>
    /// <param name="inputs">The inputs; not changed until the call ends.</param>
    /// <param name="outputs">The outputs that are wanted.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The answer, to be disposed of.</returns>
    ValueTask<InferMessage> InferAsync(IReadOnlyList<WireTensor> inputs, IReadOnlyList<TensorSpec> outputs, CancellationToken cancellationToken);
}

/// <summary>What a refused call says of the server, or of the request.</summary>
internal enum RefusalKind
{
    /// <summary>The server is at fault, or away.</summary>
    Server = 0,

    /// <summary>The request is at fault: no other server would take it.</summary>
    Request,

    /// <summary>The server knows no such model or version.</summary>
    NoSuchModel,

    /// <summary>The key, or the certificate, is none that the server takes.</summary>
    Forbidden,
}

/// <summary>A server refused a call, or cannot be reached.</summary>
internal sealed class RemoteServerException(RefusalKind kind, string message, Exception? innerException = null) : Exception(message, innerException)
{
    public RefusalKind Kind { get; } = kind;

    /// <summary>When it wants to be asked again, where it is well and has too much to do.</summary>
    public TimeSpan? BusyFor { get; init; }
}
