using System.Globalization;
using Grpc.Core;
using Grpc.Net.Client;
using MArk.Serving.OpenInference.Protocol;
using MArk.Serving.OpenInference.Wire;

namespace MArk.Serving.OpenInference.Client;

/// <summary>A server that is spoken to over gRPC.</summary>
internal sealed class GrpcRemoteServer : IRemoteServer
{
    private readonly GrpcChannel _channel;
    private readonly GRPCInferenceService.GRPCInferenceServiceClient _client;
    private readonly OpenInferenceOptions _options;
    private readonly Metadata _headers = [];
    private readonly string _version;

    public GrpcRemoteServer(Uri endpoint, OpenInferenceOptions options)
    {
        _options = options;
        _version = options.VersionToAsk ?? "";
        _channel = GrpcChannel.ForAddress(endpoint, new GrpcChannelOptions
        {
            HttpHandler = HttpCaller.CreateHandler(options),
            DisposeHttpClient = true,
            MaxReceiveMessageSize = options.Limits.MaxBytes,
            MaxSendMessageSize = null,
            // Failures go to the scheduler, which knows what else there is.
            MaxRetryAttempts = null,
        });
        _client = new(_channel);
        if (options.ApiKey is { } key)
        {
            _headers.Add("authorization", $"Bearer {key}");
        }
    }

    public async ValueTask<bool> IsReadyAsync(CancellationToken cancellationToken)
    {
        try
        {
            return (await CallAsync(_client.ModelReadyAsync(new ModelReadyRequest { Name = _options.Model, Version = _version }, Call(cancellationToken)), cancellationToken).ConfigureAwait(false)).Ready;
        }
        catch (RemoteServerException e) when (e.Kind is RefusalKind.NoSuchModel or RefusalKind.Server)
        {
            // Not yet.
            return false;
        }
    }

    public async ValueTask<ModelSignature> ReadSignatureAsync(CancellationToken cancellationToken)
    {
        var metadata = await CallAsync(_client.ModelMetadataAsync(new ModelMetadataRequest { Name = _options.Model, Version = _version }, Call(cancellationToken)), cancellationToken).ConfigureAwait(false);
        return new ModelMetadataDocument { Inputs = ToDocuments(metadata.Inputs), Outputs = ToDocuments(metadata.Outputs) }.ToSignature();
    }

    public async ValueTask LoadAsync(ModelArtifact artifact, CancellationToken cancellationToken)
    {
        var request = new RepositoryModelLoadRequest { ModelName = _options.Model };
        request.Parameters.Add("uri", new ModelRepositoryParameter { StringParam = artifact.Uri.AbsoluteUri });
        request.Parameters.Add("sha256", new ModelRepositoryParameter { StringParam = artifact.Sha256 });
        request.Parameters.Add("version", new ModelRepositoryParameter { StringParam = artifact.Version });
        await CallAsync(_client.RepositoryModelLoadAsync(request, Call(cancellationToken)), cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask UnloadAsync(ModelArtifact artifact, CancellationToken cancellationToken)
    {
        var request = new RepositoryModelUnloadRequest { ModelName = _options.Model };
        request.Parameters.Add("version", new ModelRepositoryParameter { StringParam = artifact.Version });
        await CallAsync(_client.RepositoryModelUnloadAsync(request, Call(cancellationToken)), cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<InferMessage> InferAsync(IReadOnlyList<WireTensor> inputs, IReadOnlyList<TensorSpec> outputs, CancellationToken cancellationToken)
    {
        var request = GrpcMessages.ToRequest(_options.Model, _options.VersionToAsk, inputs, outputs);
        var response = await CallAsync(_client.ModelInferAsync(request, Call(cancellationToken)), cancellationToken).ConfigureAwait(false);
        if (CopiedBytes.AreCounted)
        {
            // Each is written into a buffer as a whole, and read out of one.
            CopiedBytes.Add(request.CalculateSize() + response.CalculateSize());
        }
        return GrpcMessages.Read(response, _options.Limits);
    }

    public void Dispose() => _channel.Dispose();

    private static TensorDocument[] ToDocuments(IEnumerable<ModelMetadataResponse.Types.TensorMetadata> tensors) =>
        [.. tensors.Select(t => new TensorDocument { Name = t.Name, Datatype = t.Datatype, Shape = [.. t.Shape] })];

    private CallOptions Call(CancellationToken cancellationToken) => new(_headers, cancellationToken: cancellationToken);

    private static async ValueTask<T> CallAsync<T>(AsyncUnaryCall<T> call, CancellationToken cancellationToken)
    {
        using (call)
        {
            try
            {
                return await call.ResponseAsync.ConfigureAwait(false);
            }
            catch (RpcException e) when (cancellationToken.IsCancellationRequested)
            {
                throw new OperationCanceledException(e.Message, e, cancellationToken);
            }
            catch (RpcException e)
            {
                throw new RemoteServerException(KindOf(e.StatusCode), $"it answered {e.StatusCode}: {DataTypes.Shortened(e.Status.Detail, 512)}", e) { BusyFor = BusyFor(e) };
            }
        }
    }

    private static TimeSpan? BusyFor(RpcException e)
    {
        var after = int.TryParse(e.Trailers.GetValue("retry-after"), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? TimeSpan.FromSeconds(seconds) : (TimeSpan?)null;
        // Exhausted may be a limit of sizes too: only who says when to come back has too much to do.
        return e.StatusCode is StatusCode.ResourceExhausted or StatusCode.Unavailable ? after : null;
    }

    private static RefusalKind KindOf(StatusCode status) => status switch
    {
        StatusCode.NotFound => RefusalKind.NoSuchModel,
        StatusCode.Unauthenticated or StatusCode.PermissionDenied => RefusalKind.Forbidden,
        StatusCode.InvalidArgument or StatusCode.OutOfRange => RefusalKind.Request,
        _ => RefusalKind.Server,
    };
}
