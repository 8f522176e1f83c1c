using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Aws.Tests.Workers;

/// <summary>A machine's metadata, in the version that asks for a token first (IMDSv2).</summary>
internal sealed class MetadataStub : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _tokens;

    private MetadataStub(WebApplication app) => _app = app;

    public Uri Address { get; private set; } = null!;

    /// <summary>How many tokens were given.</summary>
    public int Tokens => Volatile.Read(ref _tokens);

    /// <summary>What is said of an interruption; nothing while there is none.</summary>
    public string? Notice { get; set; }

    /// <summary>Answers with this, and nothing else, if it is set.</summary>
    public int? Status { get; set; }

    /// <summary>Is waited for before an answer.</summary>
    public Task Hold { get; set; } = Task.CompletedTask;

    public static async Task<MetadataStub> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var stub = new MetadataStub(app);
        app.MapPut("/latest/api/token", (HttpContext context) =>
            context.Request.Headers["X-aws-ec2-metadata-token-ttl-seconds"] != "21600" ? Results.StatusCode(400)
            : stub.Status is { } status ? Results.StatusCode(status)
            : Results.Text($"token-{Interlocked.Increment(ref stub._tokens)}"));
        app.MapGet("/latest/meta-data/spot/instance-action", async (HttpContext context) =>
        {
            await stub.Hold.WaitAsync(context.RequestAborted);
            return stub.Status is { } status ? Results.StatusCode(status)
                : context.Request.Headers["X-aws-ec2-metadata-token"] != $"token-{stub.Tokens}" ? Results.StatusCode(401)
                : stub.Notice is { } notice ? Results.Text(notice, "application/json")
                : Results.NotFound();
        });
        await app.StartAsync();
        stub.Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        return stub;
    }

    /// <summary>The token that was given is not taken any more.</summary>
    public void ExpireToken() => Interlocked.Increment(ref _tokens);

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
