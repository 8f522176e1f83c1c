using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>Reads what servers answer over HTTP, never more than a limit.</summary>
internal static class ResponseReader
{
    private const int MaxErrorBytes = 16 << 10;

    /// <summary>When a server that is asked too much is asked again, where it does not say.</summary>
    public static readonly TimeSpan DefaultRetry = TimeSpan.FromSeconds(1);

    public static async ValueTask RequireSuccessAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (!response.IsSuccessStatusCode)
        {
            var error = await ReadErrorAsync(response, cancellationToken).ConfigureAwait(false);
            throw new RemoteServerException(HttpCaller.KindOf(response.StatusCode), string.Create(CultureInfo.InvariantCulture, $"it answered {(int)response.StatusCode}: {error}"))
            {
                BusyFor = BusyFor(response),
            };
        }
    }

    /// <summary>A model that is not ready may become so; a key that is not taken will not.</summary>
    public static ValueTask RequireNotForbiddenAsync(HttpResponseMessage response, CancellationToken cancellationToken) =>
        HttpCaller.KindOf(response.StatusCode) == RefusalKind.Forbidden ? RequireSuccessAsync(response, cancellationToken) : ValueTask.CompletedTask;

    /// <summary>Too many requests; or unavailable, where it is said for how long.</summary>
    private static TimeSpan? BusyFor(HttpResponseMessage response)
    {
        var after = response.Headers.RetryAfter?.Delta;
        return response.StatusCode switch
        {
            HttpStatusCode.TooManyRequests => after ?? DefaultRetry,
            HttpStatusCode.ServiceUnavailable => after,
            _ => null,
        };
    }

    private static async ValueTask<string> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            return (await ReadAsync(response, RestJson.Default.ErrorDocument, cancellationToken, MaxErrorBytes).ConfigureAwait(false)).Error is { } error
                ? DataTypes.Shortened(error, 512)
                : response.ReasonPhrase ?? "";
        }
        catch (WireFormatException)
        {
            // What it says is no error of the protocol's: its status speaks for it.
            return response.ReasonPhrase ?? "";
        }
    }

    public static async ValueTask<T> ReadAsync<T>(HttpResponseMessage response, JsonTypeInfo<T> type, CancellationToken cancellationToken, int limit = 1 << 20)
    {
        var (rented, length) = await ReadBodyAsync(response, limit, cancellationToken).ConfigureAwait(false);
        try
        {
            return JsonSerializer.Deserialize(rented.AsSpan(0, length), type) ?? throw new WireFormatException("body", "it is null.");
        }
        catch (JsonException e)
        {
            throw new WireFormatException("body", $"it is no {typeof(T).Name[..^"Document".Length]}: {e.Message}", e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    public static async ValueTask<(byte[] Rented, int Length)> ReadBodyAsync(HttpResponseMessage response, int limit, CancellationToken cancellationToken)
    {
        var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        return await BoundedBody.ReadAsync(body, response.Content.Headers.ContentLength, limit, cancellationToken).ConfigureAwait(false)
            ?? throw new WireFormatException("body", string.Create(CultureInfo.InvariantCulture, $"it has more than the {limit} bytes that an answer may have."));
    }
}
