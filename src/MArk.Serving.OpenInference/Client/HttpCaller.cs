using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>Calls one server over HTTP, with the key and the version that the options name. What goes wrong with the connection is a <see cref="RemoteServerException"/>.</summary>
internal sealed class HttpCaller : IDisposable
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan PingDelay = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(5);

    private readonly HttpClient _http;
    private readonly OpenInferenceOptions _options;
    private readonly HttpVersionPolicy _policy;

    public HttpCaller(Uri endpoint, OpenInferenceOptions options)
    {
        _options = options;
        // Without TLS there is no negotiation: the version that is asked for is what the server must speak.
        _policy = endpoint.Scheme == Uri.UriSchemeHttps ? HttpVersionPolicy.RequestVersionOrLower : HttpVersionPolicy.RequestVersionExact;
        _http = new HttpClient(CreateHandler(options)) { BaseAddress = RestNames.Base(endpoint), Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>Connections that are kept, and set up as the options say.</summary>
    public static SocketsHttpHandler CreateHandler(OpenInferenceOptions options)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = ConnectTimeout,
            PooledConnectionIdleTimeout = IdleTimeout,
            EnableMultipleHttp2Connections = true,
            UseCookies = false,
            AllowAutoRedirect = false,
            // A server of a fleet is not behind the proxy of the machine's user.
            UseProxy = false,
            // A connection that has silently gone is found out.
            KeepAlivePingDelay = PingDelay,
            KeepAlivePingTimeout = PingTimeout,
        };
        options.ConfigureHandler?.Invoke(handler);
        return handler;
    }

    /// <summary>Sends a request; its answer's body is still to be read.</summary>
    public async ValueTask<HttpResponseMessage> SendAsync(HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content, Version = _options.HttpVersion, VersionPolicy = _policy };
        if (_options.ApiKey is { } key)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }
        try
        {
            return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            throw new RemoteServerException(RefusalKind.Server, $"it cannot be reached: {e.Message}", e);
        }
        finally
        {
            // The body is the caller's.
            request.Content = null;
        }
    }

    /// <summary>What a status says of the server, or of the request.</summary>
    public static RefusalKind KindOf(HttpStatusCode status) => status switch
    {
        HttpStatusCode.NotFound => RefusalKind.NoSuchModel,
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => RefusalKind.Forbidden,
        HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.UnprocessableEntity => RefusalKind.Request,
        _ => RefusalKind.Server,
    };

    public void Dispose() => _http.Dispose();
}
