using System.Buffers;
using System.Globalization;
using System.Text.Json;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>A server of the v1 form. It is told what a model's tensors are.</summary>
internal sealed class PredictV1RemoteServer : IRemoteServer
{
    private const int MaxStatusBytes = 1 << 16;

    private readonly HttpCaller _http;
    private readonly OpenInferenceOptions _options;
    private readonly PredictV1Reader _reader;
    private readonly string _model;

    public PredictV1RemoteServer(Uri endpoint, OpenInferenceOptions options)
    {
        _http = new HttpCaller(endpoint, options);
        _options = options;
        _reader = new PredictV1Reader(options.Limits);
        _model = RestNames.PredictV1Path(options.Model, options.Version);
    }

    public async ValueTask<bool> IsReadyAsync(CancellationToken cancellationToken)
    {
        using var response = await _http.SendAsync(HttpMethod.Get, _model, null, cancellationToken).ConfigureAwait(false);
        await ResponseReader.RequireNotForbiddenAsync(response, cancellationToken).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode)
        {
            return false;
        }
        var (rented, length) = await ResponseReader.ReadBodyAsync(response, MaxStatusBytes, cancellationToken).ConfigureAwait(false);
        try
        {
            return IsReady(rented.AsMemory(0, length));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>TensorFlow Serving tells of a state for each version, KServe whether the model is ready; some servers tell nothing more than that they answer.</summary>
    private static bool IsReady(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                return true;
            }
            if (root.TryGetProperty("model_version_status", out var versions) && versions.ValueKind == JsonValueKind.Array)
            {
                return versions.EnumerateArray().Any(v => v.ValueKind == JsonValueKind.Object && v.TryGetProperty("state", out var state) && state.ValueEquals("AVAILABLE"));
            }
            return !root.TryGetProperty("ready", out var ready) || ready.ValueKind == JsonValueKind.True || (ready.ValueKind == JsonValueKind.String && ready.ValueEquals("True"));
        }
        catch (JsonException)
        {
            return true;
        }
    }

    public ValueTask<ModelSignature> ReadSignatureAsync(CancellationToken cancellationToken) => new(_options.Signature!);

    public ValueTask LoadAsync(ModelArtifact artifact, CancellationToken cancellationToken) => throw NoRepository();

    public ValueTask UnloadAsync(ModelArtifact artifact, CancellationToken cancellationToken) => throw NoRepository();

    public async ValueTask<InferMessage> InferAsync(IReadOnlyList<WireTensor> inputs, IReadOnlyList<TensorSpec> outputs, CancellationToken cancellationToken)
    {
        var body = new ArrayBufferWriter<byte>(4096);
        PredictV1Writer.WriteRequest(body, inputs);
        using var content = new WireContent(body, []);
        using var response = await _http.SendAsync(HttpMethod.Post, $"{_model}:predict", content, cancellationToken).ConfigureAwait(false);
        await ResponseReader.RequireSuccessAsync(response, cancellationToken).ConfigureAwait(false);
        var (rented, length) = await ResponseReader.ReadBodyAsync(response, _options.Limits.MaxBytes, cancellationToken).ConfigureAwait(false);
        try
        {
            return _reader.ReadResponse(rented.AsMemory(0, length), outputs.ToArray());
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    public void Dispose() => _http.Dispose();

    private static NotSupportedException NoRepository() => new(string.Create(CultureInfo.InvariantCulture, $"Nothing can be loaded by the form {OpenInferenceForm.PredictV1}."));
}
