using System.Text.Json;

namespace Function;

/// <summary>Lambda's runtime API: gives events, one at a time, and takes what came of them.</summary>
internal sealed class RuntimeApi(string host) : IDisposable
{
    // The next event may be long in coming.
    private readonly HttpClient _http = new() { BaseAddress = new Uri($"http://{host}/2018-06-01/runtime/"), Timeout = Timeout.InfiniteTimeSpan };

    /// <summary>Waits for an event and answers it; with an error, if the handler throws.</summary>
    public async Task HandleNextAsync(Func<ReadOnlyMemory<byte>, Task<byte[]>> handle)
    {
        using var next = await _http.GetAsync("invocation/next");
        next.EnsureSuccessStatusCode();
        var id = next.Headers.GetValues("Lambda-Runtime-Aws-Request-Id").Single();
        try
        {
            var answer = await handle(await next.Content.ReadAsByteArrayAsync());
            await PostAsync($"invocation/{id}/response", answer, errorType: null);
        }
        catch (Exception e) when (e is not HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError })
        {
            await PostErrorAsync($"invocation/{id}/error", e, "Function");
        }
    }

    /// <summary>Says that the function cannot start.</summary>
    public Task FailInitAsync(Exception error) => PostErrorAsync("init/error", error, "Runtime");

    public void Dispose() => _http.Dispose();

    private Task PostErrorAsync(string path, Exception error, string kind)
    {
        var type = $"{kind}.{error.GetType().Name}";
        return PostAsync(path, JsonSerializer.SerializeToUtf8Bytes(new { errorMessage = error.Message, errorType = type, stackTrace = Array.Empty<string>() }), type);
    }

    private async Task PostAsync(string path, byte[] body, string? errorType)
    {
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = new("application/json");
        if (errorType is not null)
        {
            content.Headers.Add("Lambda-Runtime-Function-Error-Type", errorType);
        }
        using var response = await _http.PostAsync(path, content);
        // An answer that is too large is refused, and the invocation ended by that.
        if ((int)response.StatusCode != StatusCodes.Status413PayloadTooLarge)
        {
            response.EnsureSuccessStatusCode();
        }
    }
}
