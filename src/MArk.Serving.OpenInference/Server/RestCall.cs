using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using MArk.Serving.OpenInference.Protocol;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace MArk.Serving.OpenInference.Server;

/// <summary>What all REST endpoints do alike: keys, bodies, errors.</summary>
internal static class RestCall
{
    private const int MaxDocumentBytes = 1 << 20;

    /// <summary>Handles a call of a caller that may make it; what goes wrong becomes a status and <c>{"error": ...}</c>.</summary>
    public static RequestDelegate Guard(InferenceCalls calls, Func<HttpContext, Task> handle, bool isOfRepository = false) => async context =>
    {
        try
        {
            calls.Authorize(context.Request.Headers.Authorization, isOfRepository);
            await handle(context).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            var refusal = calls.Refuse(Model(context), e);
            if (context.Response.HasStarted)
            {
                context.Abort();
                return;
            }
            await RefuseAsync(context, refusal).ConfigureAwait(false);
        }
    };

    public static string Model(HttpContext context) => context.Request.RouteValues["model"] as string ?? "";

    public static string? Version(HttpContext context) => context.Request.RouteValues["version"] as string;

    /// <summary>Whether something is ready: by the status, and in so many words.</summary>
    public static Task WriteReadyAsync(HttpContext context, string? name, bool isReady)
    {
        context.Response.StatusCode = isReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        return WriteAsync(context, new ReadyDocument { Name = name, Ready = isReady }, RestJson.Readable.ReadyDocument);
    }

    public static Task EndAsync(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    public static Task WriteAsync<T>(HttpContext context, T document, JsonTypeInfo<T> type)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(document, type);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        return context.Response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }

    /// <summary>Reads a small document; nothing if there is no body.</summary>
    public static async ValueTask<T?> ReadAsync<T>(HttpContext context, JsonTypeInfo<T> type) where T : class
    {
        var (rented, length) = await ReadBodyAsync(context, MaxDocumentBytes).ConfigureAwait(false);
        try
        {
            return length == 0 ? null : JsonSerializer.Deserialize(rented.AsSpan(0, length), type);
        }
        catch (JsonException e)
        {
            throw new WireFormatException("body", e.Message, e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Reads a body into memory of the shared pool.</summary>
    /// <exception cref="BodyTooLargeException">It is longer than the limit.</exception>
    public static async ValueTask<(byte[] Rented, int Length)> ReadBodyAsync(HttpContext context, int limit)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            // The limit is this server's own.
            size.MaxRequestBodySize = null;
        }
        return await BoundedBody.ReadAsync(context.Request.Body, context.Request.ContentLength, limit, context.RequestAborted).ConfigureAwait(false) ?? throw new BodyTooLargeException(limit);
    }

    private static async Task RefuseAsync(HttpContext context, Refusal refusal)
    {
        context.Response.Clear();
        context.Response.StatusCode = refusal.Status;
        if (refusal.RetryAfter is { } after)
        {
            // In whole seconds, as HTTP has it; never 0.
            context.Response.Headers.RetryAfter = Math.Max(1, Math.Ceiling(after.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }
        if (refusal.Status == StatusCodes.Status401Unauthorized)
        {
            context.Response.Headers[HeaderNames.WWWAuthenticate] = "Bearer";
        }
        if (!context.RequestAborted.IsCancellationRequested)
        {
            await WriteAsync(context, new ErrorDocument { Error = refusal.Message }, RestJson.Readable.ErrorDocument).ConfigureAwait(false);
        }
    }
}
