using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Amazon;
using Amazon.Runtime;
using Amazon.Runtime.Signing;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.Aws.Lambda;

/// <summary>Invokes one function by Lambda's API, signed. What Lambda refuses is a <see cref="LambdaSpilloverException"/>; what the function says for itself is not judged here.</summary>
internal sealed class LambdaClient : IDisposable
{
    // Lambda makes an error of the function's of an answer that is longer; so is it here, where an emulator does not.
    private const int MaxAnswerBytes = (6 << 20) + 100;
    private const int MaxErrorBytes = 16 << 10;

    private static readonly MediaTypeHeaderValue Json = new("application/json");

    private readonly HttpClient _http;
    private readonly Uri _invocations;
    private readonly string _function;

    public LambdaClient(LambdaSpilloverOptions options)
    {
        _function = options.FunctionName;
        var region = RegionOf(options);
        var service = options.ServiceUrl ?? new Uri($"https://lambda.{region.SystemName}.{region.PartitionDnsSuffix}");
        var qualifier = options.Qualifier is { } name ? $"?Qualifier={Uri.EscapeDataString(name)}" : "";
        _invocations = new Uri(RestNames.Base(service), $"2015-03-31/functions/{Uri.EscapeDataString(_function)}/invocations{qualifier}");
        var connections = new SocketsHttpHandler
        {
            ConnectTimeout = TimeSpan.FromSeconds(5),
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(50),
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            UseCookies = false,
            // A signature is for one address.
            AllowAutoRedirect = false,
        };
        _http = new HttpClient(new SigV4SigningHandler(options.Credentials?.Invoke() ?? new ChainedCredentials(), region, "lambda", connections)) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>Invokes the function and waits for what it says.</summary>
    public async ValueTask<LambdaReply> InvokeAsync(ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, _invocations) { Content = new ReadOnlyMemoryContent(payload), Version = HttpVersion.Version11 };
        request.Content.Headers.ContentType = Json;
        request.Headers.Add("X-Amz-Invocation-Type", "RequestResponse");
        request.Headers.Add("X-Amz-Log-Type", "Tail");
        // The signer takes it as it is; it would copy the payload otherwise, to hash it.
        request.Headers.Add("X-Amz-Content-Sha256", Convert.ToHexStringLower(SHA256.HashData(payload.Span)));
        using var response = await SendAsync(request, cancellationToken).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode)
        {
            throw await RefusalAsync(response, cancellationToken).ConfigureAwait(false);
        }
        var (rented, length) = await ReadAsync(response, MaxAnswerBytes, cancellationToken).ConfigureAwait(false);
        return new LambdaReply(rented, length, HeaderOf(response, "X-Amz-Function-Error"), LambdaReport.Read(HeaderOf(response, "X-Amz-Log-Result")));
    }

    public void Dispose() => _http.Dispose();

    private static RegionEndpoint RegionOf(LambdaSpilloverOptions options)
    {
        try
        {
            return options.Region is { } name ? RegionEndpoint.GetBySystemName(name) : FallbackRegionFactory.GetRegionEndpoint() ?? throw new AmazonClientException("none is set.");
        }
        catch (AmazonClientException e)
        {
            throw new ArgumentException($"Lambda spillover: {nameof(options.Region)} is null, and the environment names none; accepted: a region.", e);
        }
    }

    private async ValueTask<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Failure(LambdaFailure.Unreachable, $"it cannot be reached: {e.Message}", e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            // What takes longer than it may by itself, a connection, ends like a call that was cancelled.
            throw Failure(LambdaFailure.Unreachable, $"it cannot be reached: {(e.InnerException ?? e).Message}", e);
        }
        catch (AmazonClientException e)
        {
            throw Failure(LambdaFailure.AccessDenied, $"there are no credentials to call it with: {e.Message}", e);
        }
    }

    private async ValueTask<(byte[] Rented, int Length)> ReadAsync(HttpResponseMessage response, int limit, CancellationToken cancellationToken)
    {
        try
        {
            var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            return await BoundedBody.ReadAsync(body, response.Content.Headers.ContentLength, limit, cancellationToken).ConfigureAwait(false)
                ?? throw Failure(LambdaFailure.HandlerFailed, string.Create(CultureInfo.InvariantCulture, $"its answer has more than {limit} bytes."));
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Failure(LambdaFailure.BadAnswer, $"its answer breaks off: {e.Message}", e);
        }
    }

    private async ValueTask<LambdaSpilloverException> RefusalAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var error = await ReadErrorAsync(response, cancellationToken).ConfigureAwait(false);
        // "TooManyRequestsException:http://internal.amazon.com/..."
        var type = (HeaderOf(response, "x-amzn-ErrorType") ?? error.Type ?? "").Split(':')[0];
        var status = (int)response.StatusCode;
        var failure = status switch
        {
            404 => LambdaFailure.NoSuchFunction,
            401 or 403 => LambdaFailure.AccessDenied,
            413 => LambdaFailure.PayloadTooLarge,
            429 => LambdaFailure.Throttled,
            >= 500 => LambdaFailure.ServiceFailed,
            // An alias that is being updated, a snapshot that is not ready yet.
            409 => LambdaFailure.Busy,
            _ => LambdaFailure.BadAnswer,
        };
        var hint = failure == LambdaFailure.AccessDenied ? " The credentials need the permission lambda:InvokeFunction on it." : "";
        var reason = error.Reason is { } why ? $" ({why})" : "";
        return new LambdaSpilloverException(_function, failure, string.Create(CultureInfo.InvariantCulture, $"Lambda answered {status} {type}{reason}: {WithoutToken(error.Message, response) ?? response.ReasonPhrase}{hint}"))
        {
            RetryAfter = LambdaAnswer.SecondsOf(HeaderOf(response, "Retry-After") ?? error.RetryAfterSeconds),
        };
    }

    private async ValueTask<LambdaErrorDocument> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        byte[]? rented = null;
        try
        {
            (rented, var length) = await ReadAsync(response, MaxErrorBytes, cancellationToken).ConfigureAwait(false);
            return JsonSerializer.Deserialize(rented.AsSpan(0, length), LambdaJson.Default.LambdaErrorDocument) ?? new LambdaErrorDocument();
        }
        catch (Exception e) when (e is JsonException or LambdaSpilloverException)
        {
            // Its status speaks for it.
            return new LambdaErrorDocument();
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    /// <summary>Of a signature that does not match, AWS repeats what was to be signed: the session's token is in it.</summary>
    private static string? WithoutToken(string? message, HttpResponseMessage response) =>
        response.RequestMessage!.Headers.TryGetValues("X-Amz-Security-Token", out var tokens) ? tokens.Aggregate(message, static (text, token) => text?.Replace(token, "(token)", StringComparison.Ordinal)) : message;

    private static string? HeaderOf(HttpResponseMessage response, string name) => response.Headers.TryGetValues(name, out var values) ? string.Join(",", values) : null;

    private LambdaSpilloverException Failure(LambdaFailure failure, string message, Exception? inner = null) => new(_function, failure, message, inner);
}

/// <summary>What came back of an invocation.</summary>
internal sealed class LambdaReply(byte[] rented, int length, string? functionError, LambdaReport? report) : IDisposable
{
    private byte[]? _rented = rented;

    public ReadOnlySpan<byte> Payload => _rented.AsSpan(0, length);

    /// <summary><c>Handled</c> or <c>Unhandled</c> where the function failed.</summary>
    public string? FunctionError { get; } = functionError;

    public LambdaReport? Report { get; } = report;

    public void Dispose()
    {
        if (_rented is { } memory)
        {
            _rented = null;
            ArrayPool<byte>.Shared.Return(memory);
        }
    }
}

/// <summary>An error of Lambda's API.</summary>
internal sealed class LambdaErrorDocument
{
    [JsonPropertyName("__type")]
    public string? Type { get; set; }

    public string? Message { get; set; }

    public string? Reason { get; set; }

    public string? RetryAfterSeconds { get; set; }
}

[JsonSourceGenerationOptions(PropertyNameCaseInsensitive = true)]
[JsonSerializable(typeof(LambdaErrorDocument))]
internal sealed partial class LambdaJson : JsonSerializerContext;
