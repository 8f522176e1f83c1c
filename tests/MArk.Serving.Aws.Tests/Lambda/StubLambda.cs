using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json;
using MArk.Serving.DependencyInjection;
using MArk.Serving.OpenInference;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Aws.Tests.Lambda;

/// <summary>
/// Lambda's Invoke API on the loopback, as it is documented, with one function: a server of the Open Inference Protocol with the model <c>pair</c>, which answers the sum and the product of two numbers.
/// For what emulators do not do: throttling, logs, errors of the service.
/// </summary>
internal sealed class StubLambda : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly HttpClient _http;
    private readonly ConcurrentQueue<StubInvocation> _invocations = new();

    private StubLambda(WebApplication app)
    {
        _app = app;
        app.MapPost("/2015-03-31/functions/{function}/invocations", InvokeAsync);
        _http = new HttpClient();
    }

    public Uri Address { get; private set; } = null!;

    /// <summary>All invocations so far, in the order of their arrival.</summary>
    public StubInvocation[] Invocations => [.. _invocations];

    /// <summary>Those that asked for inference, by how many items each had.</summary>
    public int[] Sizes => [.. _invocations.Select(i => i.Size).Where(size => size > 0)];

    /// <summary>Answers an invocation in the function's place, and says whether it did.</summary>
    public Func<StubInvocation, Task<bool>> Intercept { get; set; } = _ => Task.FromResult(false);

    /// <summary>What the log of an invocation ends with.</summary>
    public Func<StubInvocation, string?> Log { get; set; } = _ => null;

    public static readonly ModelSignature Pair = new([new TensorSpec("pair", TensorElementType.Float32, [2])], [new TensorSpec("both", TensorElementType.Float32, [2])]);

    public static async Task<StubLambda> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0);
            kestrel.Limits.MaxRequestBodySize = null;
        });
        builder.Services.AddMArkServing().AddModel<float[], float[]>("pair", m => m.UseBatchFunction((batch, sink, _) =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                sink.SetResult(i, [batch[i][0] + batch[i][1], batch[i][0] * batch[i][1]]);
            }
            return ValueTask.CompletedTask;
        }).WithSlo(TimeSpan.FromSeconds(10)));
        builder.Services.AddOpenInferenceServer(options => options.Map("pair", () => new ArrayEndpointCodec<float, float> { Signature = Pair }));
        var app = builder.Build();
        var stub = new StubLambda(app);
        app.MapOpenInference();
        await app.StartAsync();
        stub.Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        return stub;
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private async Task InvokeAsync(HttpContext context, string function)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        var invocation = new StubInvocation(context, function, body.ToArray());
        _invocations.Enqueue(invocation);
        if (await Intercept(invocation))
        {
            return;
        }
        if (Log(invocation) is { } log)
        {
            context.Response.Headers["X-Amz-Log-Result"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(log));
        }
        await RunAsync(invocation);
    }

    /// <summary>What the function does.</summary>
    private async Task RunAsync(StubInvocation invocation)
    {
        using var request = new HttpRequestMessage(new HttpMethod(invocation.Method), new Uri(Address, invocation.Path));
        if (invocation.Body is { } body)
        {
            request.Content = new ByteArrayContent(body);
            foreach (var header in invocation.Event.GetProperty("headers").EnumerateObject().Where(h => h.Name is "content-type" or "inference-header-content-length"))
            {
                request.Content.Headers.TryAddWithoutValidation(header.Name, header.Value.GetString());
            }
        }
        using var response = await _http.SendAsync(request);
        await invocation.AnswerAsync((int)response.StatusCode, await response.Content.ReadAsByteArrayAsync(), response.Headers.Concat(response.Content.Headers).ToDictionary(h => h.Key, h => string.Join(",", h.Value)));
    }
}

/// <summary>One invocation, and the ways in which it may end.</summary>
internal sealed class StubInvocation
{
    private readonly HttpContext _context;

    public StubInvocation(HttpContext context, string function, byte[] payload)
    {
        (_context, Function, Payload) = (context, function, payload);
        Headers = context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        Query = context.Request.QueryString.ToString();
        Event = JsonDocument.Parse(payload).RootElement;
        Method = Event.GetProperty("requestContext").GetProperty("http").GetProperty("method").GetString()!;
        Path = Event.GetProperty("rawPath").GetString()!;
        Body = !Event.TryGetProperty("body", out var body) ? null : Event.GetProperty("isBase64Encoded").GetBoolean() ? body.GetBytesFromBase64() : Encoding.UTF8.GetBytes(body.GetString()!);
        Size = Path.EndsWith("/infer", StringComparison.Ordinal) ? Inputs().GetProperty("shape")[0].GetInt32() : 0;
    }

    public string Function { get; }

    public string Query { get; }

    public byte[] Payload { get; }

    public Dictionary<string, string> Headers { get; }

    public JsonElement Event { get; }

    public string Method { get; }

    public string Path { get; }

    public byte[]? Body { get; }

    /// <summary>How many items it asks to infer; 0 where it asks something else.</summary>
    public int Size { get; }

    /// <summary>The first number of each item.</summary>
    public float[] Firsts => [.. Enumerable.Range(0, Size).Select(i => BitConverter.ToSingle(Body!, Body!.Length - 8 * (Size - i)))];

    public async Task<bool> AnswerAsync(int status, byte[] body, Dictionary<string, string>? headers = null)
    {
        _context.Response.ContentType = "application/json";
        await _context.Response.WriteAsync(JsonSerializer.Serialize(new { statusCode = status, headers = headers ?? [], body = Convert.ToBase64String(body), isBase64Encoded = true }));
        return true;
    }

    public Task<bool> AnswerAsync(int status, string error, string? retryAfter = null) =>
        AnswerAsync(status, JsonSerializer.SerializeToUtf8Bytes(new { error }), retryAfter is null ? [] : new() { ["Retry-After"] = retryAfter });

    /// <summary>An error of the function's; in the header too, or only in the body.</summary>
    public async Task<bool> FailAsync(string? type, string message, string? header = "Unhandled")
    {
        if (header is not null)
        {
            _context.Response.Headers["X-Amz-Function-Error"] = header;
        }
        await _context.Response.WriteAsync(JsonSerializer.Serialize(type is null ? new { errorMessage = message } : (object)new { errorType = type, errorMessage = message }));
        return true;
    }

    /// <summary>An error of Lambda's, before or instead of the function.</summary>
    public async Task<bool> RefuseAsync(int status, string type, string message, string? reason = null, string? retryAfter = null)
    {
        _context.Response.StatusCode = status;
        _context.Response.Headers["x-amzn-ErrorType"] = $"{type}:http://internal.example/";
        if (retryAfter is not null)
        {
            _context.Response.Headers.RetryAfter = retryAfter;
        }
        await _context.Response.WriteAsync(JsonSerializer.Serialize(new { Type = "User", Message = message, Reason = reason }));
        return true;
    }

    /// <summary>Something that the function may answer, or may not.</summary>
    public async Task<bool> WriteAsync(string answer)
    {
        await _context.Response.WriteAsync(answer);
        return true;
    }

    /// <summary>The connection breaks before a byte of an answer.</summary>
    public Task<bool> BreakAsync()
    {
        _context.Abort();
        return Task.FromResult(true);
    }

    /// <summary>No answer, until the caller goes.</summary>
    public async Task<bool> HangAsync()
    {
        var gone = new TaskCompletionSource();
        await using var registration = _context.RequestAborted.Register(gone.SetResult);
        await gone.Task;
        return true;
    }

    private JsonElement Inputs()
    {
        var length = Event.GetProperty("headers").TryGetProperty("inference-header-content-length", out var header) ? int.Parse(header.GetString()!, System.Globalization.CultureInfo.InvariantCulture) : Body!.Length;
        return JsonDocument.Parse(Body.AsMemory(0, length)).RootElement.GetProperty("inputs")[0];
    }
}
