using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.Aws.Lambda;

/// <summary>What a function answered: an HTTP response in JSON, as function URLs and HTTP APIs take it, or an error of its code or of its environment.</summary>
internal sealed class LambdaAnswer : IDisposable
{
    private byte[]? _body;
    private int _length;
    private bool _isBase64;

    /// <summary>The HTTP status; nothing where the answer is no HTTP response.</summary>
    public int? Status { get; private set; }

    /// <summary>How many bytes of the body are JSON, where tensors follow it.</summary>
    public int? HeaderLength { get; private set; }

    public TimeSpan? RetryAfter { get; private set; }

    public string? ErrorType { get; private set; }

    public string? ErrorMessage { get; private set; }

    public ReadOnlyMemory<byte> Body => _body.AsMemory(0, _length);

    /// <summary>Reads an answer; its body is copied, and decoded, into memory of its own.</summary>
    /// <exception cref="JsonException">It is no object in JSON.</exception>
    public static LambdaAnswer Read(ReadOnlySpan<byte> json)
    {
        var answer = new LambdaAnswer();
        try
        {
            answer.ReadObject(json);
            return answer;
        }
        catch (Exception e)
        {
            answer.Dispose();
            // The reader tells by this of a value of another kind.
            throw e is InvalidOperationException ? new JsonException(e.Message, e) : e;
        }
    }

    /// <summary>Hands the body's memory, of the shared pool, over.</summary>
    public byte[]? TakeBody()
    {
        var body = _body;
        _body = null;
        return body;
    }

    public string BodyText(int most = 512) => Encoding.UTF8.GetString(Body.Span[..Math.Min(most, _length)]);

    public void Dispose()
    {
        if (TakeBody() is { } body)
        {
            ArrayPool<byte>.Shared.Return(body);
        }
    }

    private void ReadObject(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException($"it is of kind {reader.TokenType}.");
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            ReadProperty(ref reader);
        }
        if (_isBase64 && _body is not null)
        {
            _length = Base64.DecodeFromUtf8InPlace(_body.AsSpan(0, _length), out var decoded) == OperationStatus.Done ? decoded : throw new JsonException("its body is no base64.");
        }
    }

    private void ReadProperty(ref Utf8JsonReader reader)
    {
        if (reader.ValueTextEquals("statusCode"u8))
        {
            reader.Read();
            Status = reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var status) ? status : null;
        }
        else if (reader.ValueTextEquals("isBase64Encoded"u8))
        {
            reader.Read();
            _isBase64 = reader.TokenType == JsonTokenType.True;
        }
        else if (reader.ValueTextEquals("body"u8))
        {
            reader.Read();
            ReadBody(ref reader);
        }
        else if (reader.ValueTextEquals("headers"u8))
        {
            reader.Read();
            ReadHeaders(ref reader);
        }
        else if (reader.ValueTextEquals("errorType"u8))
        {
            reader.Read();
            ErrorType = ReadText(ref reader);
        }
        else if (reader.ValueTextEquals("errorMessage"u8))
        {
            reader.Read();
            ErrorMessage = ReadText(ref reader);
        }
        else
        {
            reader.Skip();
        }
    }

    private void ReadBody(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.String && _body is null)
        {
            _body = ArrayPool<byte>.Shared.Rent(Math.Max(1, reader.ValueSpan.Length));
            _length = reader.CopyString(_body);
        }
        else
        {
            reader.Skip();
        }
    }

    private void ReadHeaders(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString();
            reader.Read();
            if (string.Equals(name, RestNames.HeaderLength, StringComparison.OrdinalIgnoreCase))
            {
                HeaderLength = int.TryParse(ReadText(ref reader), NumberStyles.None, CultureInfo.InvariantCulture, out var length)
                    ? length
                    : throw new JsonException($"its {RestNames.HeaderLength} is no number of bytes.");
            }
            else if (string.Equals(name, "retry-after", StringComparison.OrdinalIgnoreCase))
            {
                RetryAfter = SecondsOf(ReadText(ref reader));
            }
            else
            {
                reader.Skip();
            }
        }
    }

    public static TimeSpan? SecondsOf(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? TimeSpan.FromSeconds(Math.Min(seconds, 3600)) : null;

    private static string? ReadText(ref Utf8JsonReader reader)
    {
        if (reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray)
        {
            reader.Skip();
            return null;
        }
        return reader.TokenType == JsonTokenType.Number ? Encoding.UTF8.GetString(reader.ValueSpan) : reader.GetString();
    }
}
