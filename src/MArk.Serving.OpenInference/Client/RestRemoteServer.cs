using System.Buffers;
using System.Globalization;
using System.Text.Json;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>A server that is spoken to over REST, its tensors in JSON or in the binary form.</summary>
internal sealed class RestRemoteServer : IRemoteServer
{
    private readonly HttpCaller _http;
    private readonly OpenInferenceOptions _options;
    private readonly InferMessageReader _reader;
    private readonly string _model;
    private readonly bool _isBinary;

    public RestRemoteServer(Uri endpoint, OpenInferenceOptions options)
    {
        _http = new HttpCaller(endpoint, options);
        _options = options;
        _reader = new InferMessageReader(options.Limits);
        _model = RestNames.ModelPath(options.Model, options.VersionToAsk);
        _isBinary = options.Form == OpenInferenceForm.RestBinary;
    }

    public async ValueTask<bool> IsReadyAsync(CancellationToken cancellationToken)
    {
        using var response = await _http.SendAsync(HttpMethod.Get, $"{_model}/ready", null, cancellationToken).ConfigureAwait(false);
        await ResponseReader.RequireNotForbiddenAsync(response, cancellationToken).ConfigureAwait(false);
        return response.IsSuccessStatusCode;
    }

    public async ValueTask<ModelSignature> ReadSignatureAsync(CancellationToken cancellationToken)
    {
        using var response = await _http.SendAsync(HttpMethod.Get, _model, null, cancellationToken).ConfigureAwait(false);
        await ResponseReader.RequireSuccessAsync(response, cancellationToken).ConfigureAwait(false);
        return (await ResponseReader.ReadAsync(response, RestJson.Default.ModelMetadataDocument, cancellationToken).ConfigureAwait(false)).ToSignature();
    }

    public ValueTask LoadAsync(ModelArtifact artifact, CancellationToken cancellationToken) => PostAsync("load", artifact, cancellationToken);

    public ValueTask UnloadAsync(ModelArtifact artifact, CancellationToken cancellationToken) => PostAsync("unload", artifact, cancellationToken);

    public async ValueTask<InferMessage> InferAsync(IReadOnlyList<WireTensor> inputs, IReadOnlyList<TensorSpec> outputs, CancellationToken cancellationToken)
    {
        var header = new ArrayBufferWriter<byte>(1024);
        InferMessageWriter.WriteRequest(header, inputs, outputs, _isBinary);
        CopiedBytes.Add(header.WrittenCount);
        using var content = new WireContent(header, _isBinary ? inputs : []);
        using var response = await _http.SendAsync(HttpMethod.Post, $"{_model}/infer", content, cancellationToken).ConfigureAwait(false);
        await ResponseReader.RequireSuccessAsync(response, cancellationToken).ConfigureAwait(false);
        var (rented, length) = await ResponseReader.ReadBodyAsync(response, _options.Limits.MaxBytes, cancellationToken).ConfigureAwait(false);
        InferMessage? answer = null;
        try
        {
            answer = _reader.ReadResponse(rented.AsMemory(0, length), HeaderLength(response));
            return answer;
        }
        finally
        {
            if (answer is null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
            else
            {
                answer.Own(rented);
            }
        }
    }

    public void Dispose() => _http.Dispose();

    private static int? HeaderLength(HttpResponseMessage response)
    {
        if (!response.Headers.TryGetValues(RestNames.HeaderLength, out var values) && !response.Content.Headers.TryGetValues(RestNames.HeaderLength, out values))
        {
            return null;
        }
        var text = string.Join(", ", values);
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var length)
            ? length
            : throw new WireFormatException(RestNames.HeaderLength, $"it is '{DataTypes.Shortened(text)}'; accepted: a number of bytes.");
    }

    private async ValueTask PostAsync(string call, ModelArtifact artifact, CancellationToken cancellationToken)
    {
        var document = new RepositoryCallDocument { Parameters = new RepositoryParameters { Uri = artifact.Uri.AbsoluteUri, Sha256 = artifact.Sha256, Version = artifact.Version } };
        using var content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(document, RestJson.Default.RepositoryCallDocument));
        content.Headers.ContentType = new("application/json");
        using var response = await _http.SendAsync(HttpMethod.Post, $"v2/repository/models/{Uri.EscapeDataString(_options.Model)}/{call}", content, cancellationToken).ConfigureAwait(false);
        await ResponseReader.RequireSuccessAsync(response, cancellationToken).ConfigureAwait(false);
    }
}
