using System.Net;
using MArk.Serving.DependencyInjection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.OpenInference.Tests;

/// <summary>A server of the protocol on ports of its own: HTTP/1.1 on one, HTTP/2 on the other.</summary>
internal sealed class LiveServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private LiveServer(WebApplication app)
    {
        _app = app;
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.ToArray();
        (Address, Http2Address) = (new Uri(addresses[0]), new Uri(addresses[1]));
        Http = new HttpClient { BaseAddress = Address };
    }

    public Uri Address { get; }

    public Uri Http2Address { get; }

    public HttpClient Http { get; }

    public IServiceProvider Services => _app.Services;

    public static async Task<LiveServer> StartAsync(
        Action<MArkServingBuilder> models, Action<OpenInferenceServerOptions>? options = null, Action<IServiceCollection>? services = null, int port = 0, Action<WebApplication>? application = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http1);
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
        });
        models(builder.Services.AddMArkServing());
        builder.Services.AddOpenInferenceServer(options);
        services?.Invoke(builder.Services);
        var app = builder.Build();
        application?.Invoke(app);
        app.MapOpenInference();
        await app.StartAsync();
        return new LiveServer(app);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
