using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace CloudHost.Emulators;

/// <summary>The metadata of emulated machines (IMDSv2), each at a path of its own: a token first, and then whether the machine is taken away.</summary>
internal sealed class MetadataServer : IAsyncDisposable
{
    private const string Token = "emulated-token";

    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, DateTimeOffset> _notices = new();

    private MetadataServer()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapPut("/{machine}/latest/api/token", static () => Results.Text(Token));
        _app.MapGet("/{machine}/latest/meta-data/spot/instance-action", (HttpRequest request, string machine) =>
            request.Headers["X-aws-ec2-metadata-token"] != Token ? Results.StatusCode(StatusCodes.Status401Unauthorized)
            : _notices.TryGetValue(machine, out var at) ? Results.Text($$"""{"action":"terminate","time":"{{at.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture)}}"}""", "application/json")
            : Results.NotFound());
    }

    public static async Task<MetadataServer> StartAsync(CancellationToken cancellationToken = default)
    {
        var server = new MetadataServer();
        await server._app.StartAsync(cancellationToken);
        return server;
    }

    /// <summary>Where a machine's metadata is.</summary>
    public Uri AddressOf(string machine) => new(new Uri(_app.Urls.First()), $"{machine}/");

    /// <summary>Has a machine told that it is taken away.</summary>
    public void GiveNotice(string machine, DateTimeOffset at) => _notices[machine] = at;

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
