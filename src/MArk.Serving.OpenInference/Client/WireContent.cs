using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>A request's body: the JSON, and the tensors straight from where they were gathered.</summary>
internal sealed class WireContent : HttpContent
{
    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private static readonly MediaTypeHeaderValue Binary = new("application/octet-stream");

    private readonly ArrayBufferWriter<byte> _header;
    private readonly IReadOnlyList<WireTensor> _tensors;

    /// <param name="header">The JSON.</param>
    /// <param name="tensors">The tensors that follow it; none where they are in it.</param>
    public WireContent(ArrayBufferWriter<byte> header, IReadOnlyList<WireTensor> tensors)
    {
        _header = header;
        _tensors = tensors;
        Headers.ContentType = tensors.Count == 0 ? Json : Binary;
        if (tensors.Count > 0)
        {
            Headers.Add(RestNames.HeaderLength, header.WrittenCount.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(_header.WrittenMemory, cancellationToken).ConfigureAwait(false);
        foreach (var tensor in _tensors)
        {
            await stream.WriteAsync(tensor.Data, cancellationToken).ConfigureAwait(false);
        }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override bool TryComputeLength(out long length)
    {
        length = _header.WrittenCount;
        foreach (var tensor in _tensors)
        {
            length += tensor.Data.Length;
        }
        return true;
    }
}
