using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.Aws.Lambda;

/// <summary>Writes events as function URLs and HTTP APIs send them, payload format 2.0: an HTTP request in JSON.</summary>
internal static class LambdaEvent
{
    private static readonly JsonWriterOptions Options = new() { SkipValidation = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>How many bytes a body takes in base64, at least.</summary>
    public static long EncodedLength(long bytes) => (bytes + 2) / 3 * 4;

    public static void WriteGet(IBufferWriter<byte> target, string path, string? apiKey)
    {
        using var json = new Utf8JsonWriter(target, Options);
        WriteStart(json, "GET", path, apiKey, contentType: null, headerLength: null);
        json.WriteBoolean("isBase64Encoded"u8, false);
        json.WriteEndObject();
    }

    /// <summary>Writes a request for inference.</summary>
    /// <param name="target">Takes the event.</param>
    /// <param name="path">The address in the function.</param>
    /// <param name="apiKey">The key for the server there.</param>
    /// <param name="header">The request's JSON.</param>
    /// <param name="tensors">The tensors that follow it in the binary form; none where they are in it.</param>
    public static void WriteInfer(IBufferWriter<byte> target, string path, string? apiKey, ReadOnlySpan<byte> header, IReadOnlyList<WireTensor> tensors)
    {
        using var json = new Utf8JsonWriter(target, Options);
        var isBinary = tensors.Count > 0;
        WriteStart(json, "POST", path, apiKey, isBinary ? "application/octet-stream" : "application/json", isBinary ? header.Length : null);
        json.WriteBoolean("isBase64Encoded"u8, isBinary);
        json.WritePropertyName("body"u8);
        if (isBinary)
        {
            // Straight from where they were gathered: no more than this one copy is made.
            json.WriteBase64StringSegment(header, isFinalSegment: false);
            foreach (var tensor in tensors)
            {
                json.WriteBase64StringSegment(tensor.Data.Span, isFinalSegment: false);
            }
            json.WriteBase64StringSegment([], isFinalSegment: true);
        }
        else
        {
            json.WriteStringValue(header);
        }
        json.WriteEndObject();
    }

    private static void WriteStart(Utf8JsonWriter json, string method, string path, string? apiKey, string? contentType, int? headerLength)
    {
        json.WriteStartObject();
        json.WriteString("version"u8, "2.0"u8);
        json.WriteString("routeKey"u8, "$default"u8);
        json.WriteString("rawPath"u8, path);
        json.WriteString("rawQueryString"u8, ""u8);
        json.WriteStartObject("headers"u8);
        json.WriteString("host"u8, "lambda"u8);
        if (contentType is not null)
        {
            json.WriteString("content-type"u8, contentType);
        }
        if (headerLength is { } length)
        {
            json.WriteString("inference-header-content-length"u8, length.ToString(CultureInfo.InvariantCulture));
        }
        if (apiKey is not null)
        {
            json.WriteString("authorization"u8, $"Bearer {apiKey}");
        }
        json.WriteEndObject();
        json.WriteStartObject("requestContext"u8);
        json.WriteString("domainName"u8, "lambda"u8);
        json.WriteStartObject("http"u8);
        json.WriteString("method"u8, method);
        json.WriteString("path"u8, path);
        json.WriteString("protocol"u8, "HTTP/1.1"u8);
        json.WriteString("sourceIp"u8, "127.0.0.1"u8);
        json.WriteString("userAgent"u8, "MArk.Serving"u8);
        json.WriteEndObject();
        json.WriteString("routeKey"u8, "$default"u8);
        json.WriteString("stage"u8, "$default"u8);
        json.WriteNumber("timeEpoch"u8, 0);
        json.WriteEndObject();
    }
}
