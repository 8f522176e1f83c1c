using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using MArk.Serving.OpenInference.Protocol;
using MArk.Serving.OpenInference.Wire;

namespace MArk.Serving.OpenInference.Instances;

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

    /// <summary>What is wrong with a server; nothing if it is well.</summary>
    public async Task<string?> AskAsync(Uri endpoint, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(_options.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            return _options.Grpc ? await AskByGrpcAsync(endpoint, either.Token).ConfigureAwait(false) : await AskByRestAsync(endpoint, either.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            return $"it cannot be reached: {e.Message}";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"it does not answer within {_options.Timeout}";
        }
    }

    private async Task<string?> AskByRestAsync(Uri endpoint, CancellationToken cancellationToken)
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
        return response.IsSuccessStatusCode ? null : FormattableString.Invariant($"it answers {(int)response.StatusCode} to {_options.Path}");
    }

    private async Task<string?> AskByGrpcAsync(Uri endpoint, CancellationToken cancellationToken)
    {
        using var channel = GrpcChannel.ForAddress(endpoint, new GrpcChannelOptions { HttpClient = _http, DisposeHttpClient = false });
        Metadata headers = _options.ApiKey is { } key ? new() { { "authorization", $"Bearer {key}" } } : [];
        try
        {
            var answer = await new GRPCInferenceService.GRPCInferenceServiceClient(channel).ServerReadyAsync(new ServerReadyRequest(), headers, cancellationToken: cancellationToken).ResponseAsync.ConfigureAwait(false);
            return answer.Ready ? null : "it says that it is not ready";
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return $"it answers {e.StatusCode} to ServerReady";
        }
    }

    /// <summary>Waits until a server has failed so many probes on end that it is given up.</summary>
    /// <returns>What was wrong with it last.</returns>
    public async Task<string> UntilGivenUpAsync(Uri endpoint, CancellationToken cancellationToken)
    {
        var failures = 0;
        while (true)
        {
            await Task.Delay(_options.Interval, _time, cancellationToken).ConfigureAwait(false);
            var wrong = await AskAsync(endpoint, cancellationToken).ConfigureAwait(false);
            failures = wrong is null ? 0 : failures + 1;
            if (failures == _options.MaxFailures)
            {
                return FormattableString.Invariant($"{failures} probes failed on end, the last one as {wrong}.");
            }
        }
    }

    public void Dispose() => _http.Dispose();
}
