using System.Net;
using MArk.Serving.OpenInference.Instances;
using MArk.Serving.OpenInference.Tests.Client;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.OpenInference.Tests.Faults;

/// <summary>A server that will be gone says so, and its clients take their work elsewhere before it is.</summary>
public sealed class DrainTests
{
    private static readonly DateTimeOffset End = new(2030, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);

    private static Task<LiveServer> ServerAsync() => LiveServer.StartAsync(m => m.AddPair(), TestModels.MapPair);

    [Fact]
    public async Task AServerThatDrainsIsLiveAndNotReadyAndServesWhatReachesIt()
    {
        await using var server = await ServerAsync();
        using var probe = new HealthProbe(new HealthOptions(), TimeProvider.System);
        Assert.Equal(default, await probe.AskAsync(server.Address, TestContext.Current.CancellationToken));

        var drain = server.Services.GetRequiredService<ServerDrain>();
        Assert.False(drain.HasBegun);
        drain.Begin(End);
        Assert.True(drain.HasBegun);
        var health = await probe.AskAsync(server.Address, TestContext.Current.CancellationToken);
        Assert.False(health.IsWell);
        Assert.Equal((true, End), (health.IsDraining, health.EndsAt));
        using var byGrpc = new HealthProbe(new HealthOptions { Grpc = true }, TimeProvider.System);
        Assert.False((await byGrpc.AskAsync(server.Http2Address, TestContext.Current.CancellationToken)).IsWell);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("v2/health/live", TestContext.Current.CancellationToken)).StatusCode);
        using var answer = await server.Http.PostAsync(
            "v2/models/pair/infer",
            new StringContent("""{"inputs":[{"name":"pair","datatype":"FP32","shape":[1,2],"data":[3,4]}]}""", System.Text.Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task WhenItEndsNeedNotBeKnown()
    {
        await using var server = await ServerAsync();
        using var probe = new HealthProbe(new HealthOptions(), TimeProvider.System);
        server.Services.GetRequiredService<ServerDrain>().Begin();
        Assert.Equal((true, null), await probe.AskAsync(server.Address, TestContext.Current.CancellationToken) is var health ? (health.IsDraining, health.EndsAt) : default);
    }

    [Fact]
    public async Task TheOtherServersTakeOverWhatItHadAndNothingIsLost()
    {
        await using var draining = await ServerAsync();
        await using var other = await ServerAsync();
        using var host = await RemoteModelTests.HostAsync(m => m
            .UseOpenInference(new OpenInferenceOptions { Model = "pair" })
            .UseEndpoints(new EndpointsOptions { Endpoints = [draining.Address, other.Address], Health = new() { Interval = TimeSpan.FromMilliseconds(50) } })
            .WithOptions(o =>
            {
                o.MaxBatchSize = 4;
                o.Fleet.PlanInterval = o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(200);
            }));
        await using var load = new Load<float[], float[]>(host, "pair", callers: 8, number => [number % 1000, 2], (number, answer) => answer.AsSpan().SequenceEqual([(number % 1000) + 2f, 2f * (number % 1000)]));
        await load.Until(() => load.Monitor.GetReport().ReadyInstances == 2);
        draining.Services.GetRequiredService<ServerDrain>().Begin(End);
        // What is launched in its place waits for a server that is well.
        await load.Until(() => load.Monitor.GetReport() is { Fleet.Interruptions: 1, ReadyInstances: 1, LaunchingInstances: 1 });
        await load.GoOnAsync(500);
        await load.EndAsync(attainment: 0.99);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }
}
