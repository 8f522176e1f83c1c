using System.Globalization;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using MArk.Serving.OpenInference.Protocol;
using MArk.Serving.OpenInference.Wire;

namespace MArk.Serving.OpenInference.Instances;

/// <summary>How a server is.</summary>
/// <param name="Wrong">What is wrong with it; nothing if it is well.</param>
/// <param name="IsDraining">Whether it says that it will be gone soon: it answers still, and is to get nothing new.</param>
/// <param name="EndsAt">When it will be gone, if it says that.</param>
internal readonly record struct Health(string? Wrong, bool IsDraining = false, DateTimeOffset? EndsAt = null)
{
    public bool IsWell => Wrong is null;
}

/// <summary>Asks servers whether they are well.</summary>
internal sealed class HealthProbe : IDisposable
{
    private readonly HealthOptions _options;
    private readonly TimeProvider _time;
    private readonly HttpClient _http;

    public HealthProbe(HealthOptions options, TimeProvider time)
    {
        (_options, _time) = (options, time);
        var handler = new SocketsHttpHandler { ConnectTimeout = options.Timeout, UseCookies = false, AllowAutoRedirect = false, UseProxy = false };
        options.ConfigureHandler?.Invoke(handler);
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>How a server is now.</summary>
    public async Task<Health> AskAsync(Uri endpoint, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(_options.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            return _options.Grpc ? await AskByGrpcAsync(endpoint, either.Token).ConfigureAwait(false) : await AskByRestAsync(endpoint, either.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            return new Health($"it cannot be reached: {e.Message}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new Health($"it does not answer within {_options.Timeout}");
        }
    }

    private async Task<Health> AskByRestAsync(Uri endpoint, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(RestNames.Base(endpoint), _options.Path))
        {
            Version = _options.HttpVersion,
            VersionPolicy = endpoint.Scheme == Uri.UriSchemeHttps ? HttpVersionPolicy.RequestVersionOrLower : HttpVersionPolicy.RequestVersionExact,
        };
        if (_options.ApiKey is { } key)
        {
            request.Headers.Authorization = new("Bearer", key);
        }
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        if (response.IsSuccessStatusCode)
        {
            return default;
        }
        var isDraining = response.Headers.TryGetValues(RestNames.EndsAt, out var values);
        return new Health(
            FormattableString.Invariant($"it answers {(int)response.StatusCode} to {_options.Path}"),
            isDraining,
            isDraining && DateTimeOffset.TryParse(values!.First(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at) ? at : null);
    }

    private async Task<Health> AskByGrpcAsync(Uri endpoint, CancellationToken cancellationToken)
    {
        using var channel = GrpcChannel.ForAddress(endpoint, new GrpcChannelOptions { HttpClient = _http, DisposeHttpClient = false });
        Metadata headers = _options.ApiKey is { } key ? new() { { "authorization", $"Bearer {key}" } } : [];
        try
        {
            var answer = await new GRPCInferenceService.GRPCInferenceServiceClient(channel).ServerReadyAsync(new ServerReadyRequest(), headers, cancellationToken: cancellationToken).ResponseAsync.ConfigureAwait(false);
            return new Health(answer.Ready ? null : "it says that it is not ready");
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return new Health($"it answers {e.StatusCode} to ServerReady");
        }
    }

    /// <summary>Waits until a server has failed so many probes on end that it is given up.</summary>
    /// <param name="endpoint">The server.</param>
    /// <param name="onDrain">Is told when it says that it will be gone, and when: it is not given up for that.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What was wrong with it last.</returns>
    public async Task<string> UntilGivenUpAsync(Uri endpoint, Action<DateTimeOffset?> onDrain, CancellationToken cancellationToken)
    {
        var failures = 0;
        Health last = default;
        while (true)
        {
            await Task.Delay(_options.Interval, _time, cancellationToken).ConfigureAwait(false);
            var health = await AskAsync(endpoint, cancellationToken).ConfigureAwait(false);
            failures = health.IsWell || health.IsDraining ? 0 : failures + 1;
            if (failures == _options.MaxFailures)
            {
                return FormattableString.Invariant($"{failures} probes failed on end, the last one as {health.Wrong}.");
            }
            if (health.IsDraining && (!last.IsDraining || last.EndsAt != health.EndsAt))
            {
                onDrain(health.EndsAt);
            }
            last = health;
        }
    }

    public void Dispose() => _http.Dispose();
}
