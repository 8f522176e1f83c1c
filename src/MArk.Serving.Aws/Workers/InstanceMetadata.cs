using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace MArk.Serving.Aws.Workers;

/// <summary>The metadata that EC2 serves to a machine, in the version that asks for a token first (IMDSv2).</summary>
internal sealed class InstanceMetadata : IDisposable
{
    private const string TokenHeader = "X-aws-ec2-metadata-token";
    private const int TokenSeconds = 21_600;

    private readonly SpotNoticeOptions _options;
    private readonly TimeProvider _time;
    private readonly HttpClient _http;
    private string? _token;

    public InstanceMetadata(SpotNoticeOptions options, TimeProvider time)
    {
        (_options, _time) = (options, time);
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false }) { BaseAddress = options.Endpoint, Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>When the machine is taken away; nothing while that is not known.</summary>
    /// <exception cref="HttpRequestException">The metadata cannot be read.</exception>
    /// <exception cref="JsonException">It is not what it must be.</exception>
    public async Task<DateTimeOffset?> ReadInterruptionAsync(CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(_options.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            using var response = await GetAsync("latest/meta-data/spot/instance-action", either.Token).ConfigureAwait(false);
            if (response.StatusCode == HttpStatusCode.NotFound)
            {
                return null;
            }
            response.EnsureSuccessStatusCode();
            var body = await response.Content.ReadAsByteArrayAsync(either.Token).ConfigureAwait(false);
            return JsonSerializer.Deserialize(body, MetadataJson.Default.InstanceAction)?.Time ?? throw new JsonException("The notice says no time.");
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HttpRequestException($"{_options.Endpoint} does not answer within {_options.Timeout}.", e);
        }
    }

    public void Dispose() => _http.Dispose();

    private async Task<HttpResponseMessage> GetAsync(string path, CancellationToken cancellationToken)
    {
        var isFresh = _token is null;
        _token ??= await TakeTokenAsync(cancellationToken).ConfigureAwait(false);
        var response = await SendAsync(HttpMethod.Get, path, TokenHeader, _token, cancellationToken).ConfigureAwait(false);
        if (response.StatusCode != HttpStatusCode.Unauthorized || isFresh)
        {
            return response;
        }
        // The token has run out.
        response.Dispose();
        _token = await TakeTokenAsync(cancellationToken).ConfigureAwait(false);
        return await SendAsync(HttpMethod.Get, path, TokenHeader, _token, cancellationToken).ConfigureAwait(false);
    }

    private async Task<string> TakeTokenAsync(CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Put, "latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", TokenSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture), cancellationToken).ConfigureAwait(false);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string header, string value, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Headers.Add(header, value);
        return await _http.SendAsync(request, cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>What EC2 says of a spot machine that it takes away.</summary>
/// <param name="Action">Terminate, stop or hibernate.</param>
/// <param name="Time">About when.</param>
internal sealed record InstanceAction(string? Action, DateTimeOffset? Time);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(InstanceAction))]
internal sealed partial class MetadataJson : JsonSerializerContext;
