using System.Text;
using System.Text.Json;

namespace Function;

/// <summary>Events of function URLs and HTTP APIs, payload format 2.0: an HTTP request, and the response to it, in JSON.</summary>
internal static class HttpEvent
{
    /// <summary>Sends what an event asks to a server.</summary>
    /// <param name="body">The event.</param>
    /// <param name="server">The server.</param>
    /// <returns>The response, as the event's answer.</returns>
    public static async Task<byte[]> ForwardAsync(ReadOnlyMemory<byte> body, HttpClient server)
    {
        using var document = JsonDocument.Parse(body);
        using var request = ToRequest(document.RootElement);
        using var response = await server.SendAsync(request);
        return await ToAnswerAsync(response);
    }

    private static HttpRequestMessage ToRequest(JsonElement @event)
    {
        if (@event.ValueKind != JsonValueKind.Object || !@event.TryGetProperty("rawPath", out var path) || !@event.TryGetProperty("requestContext", out var context) || !context.TryGetProperty("http", out var http))
        {
            throw new FormatException("The event has no rawPath and no requestContext.http; accepted: events of payload format 2.0.");
        }
        var query = @event.TryGetProperty("rawQueryString", out var raw) && raw.GetString() is { Length: > 0 } text ? $"?{text}" : "";
        // Relative to the server, whatever it looks like.
        var request = new HttpRequestMessage(new HttpMethod(http.GetProperty("method").GetString()!), $"/{path.GetString()!.TrimStart('/')}{query}");
        if (@event.TryGetProperty("body", out var body) && body.ValueKind == JsonValueKind.String)
        {
            var isBase64 = @event.TryGetProperty("isBase64Encoded", out var flag) && flag.GetBoolean();
            request.Content = new ByteArrayContent(isBase64 ? body.GetBytesFromBase64() : Encoding.UTF8.GetBytes(body.GetString()!));
        }
        foreach (var header in @event.TryGetProperty("headers", out var headers) ? headers.EnumerateObject() : default)
        {
            if (!header.Name.Equals("host", StringComparison.OrdinalIgnoreCase) && !header.Name.Equals("content-length", StringComparison.OrdinalIgnoreCase) && !request.Headers.TryAddWithoutValidation(header.Name, header.Value.GetString()))
            {
                request.Content?.Headers.TryAddWithoutValidation(header.Name, header.Value.GetString());
            }
        }
        return request;
    }

    private static async Task<byte[]> ToAnswerAsync(HttpResponseMessage response)
    {
        var body = await response.Content.ReadAsByteArrayAsync();
        using var answer = new MemoryStream(body.Length * 3 / 2 + 256);
        await using (var json = new Utf8JsonWriter(answer))
        {
            json.WriteStartObject();
            json.WriteNumber("statusCode", (int)response.StatusCode);
            json.WriteStartObject("headers");
            foreach (var (name, values) in response.Headers.Concat(response.Content.Headers))
            {
                json.WriteString(name, string.Join(',', values));
            }
            json.WriteEndObject();
            json.WriteBoolean("isBase64Encoded", true);
            json.WriteBase64String("body", body);
            json.WriteEndObject();
        }
        return answer.ToArray();
    }
}
