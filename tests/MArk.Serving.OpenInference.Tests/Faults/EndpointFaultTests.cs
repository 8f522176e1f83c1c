using MArk.Serving.OpenInference.Tests.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace MArk.Serving.OpenInference.Tests.Faults;

/// <summary>One of three servers goes wrong under load: every request is answered once, and rightly, by the others; and the server is used again when it is well.</summary>
public sealed class EndpointFaultTests
{
    private static readonly HealthOptions Quick = new() { Interval = TimeSpan.FromMilliseconds(100), Timeout = TimeSpan.FromSeconds(5), MaxFailures = 2 };

    private static Load<float[], float[]> LoadOn(Microsoft.Extensions.Hosting.IHost host) =>
        new(host, "pair", callers: 24, number => [number % 1000, 2], (number, answer) => answer.AsSpan().SequenceEqual([(number % 1000) + 2f, 2f * (number % 1000)]));

    private static Task<Microsoft.Extensions.Hosting.IHost> HostAsync(OpenInferenceOptions options, params LiveServer[] servers) => RemoteModelTests.HostAsync(m => m
        .UseOpenInference(options)
        .UseEndpoints(new EndpointsOptions { Endpoints = [.. servers.Select(s => s.Address)], Health = Quick })
        .WithOptions(o =>
        {
            // Batches so small that all three servers are needed: a fourth waits for each that runs.
            o.MaxBatchSize = 4;
            o.Fleet.PlanInterval = o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(200);
        }));

    private static Task<LiveServer> ServerAsync(int port = 0, Func<HttpContext, Task<bool>>? spoil = null) => LiveServer.StartAsync(
        m => m.AddPair(), TestModels.MapPair, port: port, application: app => app.Use(async (context, next) =>
        {
            if (spoil is null || !context.Request.Path.Value!.EndsWith("/infer", StringComparison.Ordinal) || !await spoil(context))
            {
                await next();
            }
        }));

    [Theory]
    [InlineData("garbage")]
    [InlineData("500")]
    [InlineData("429")]
    [InlineData("nothing")]
    [InlineData("too few")]
    [InlineData("hang up")]
    [InlineData("slowly")]
    public async Task AServerThatAnswersBadly(string how)
    {
        var isSpoilt = false;
        await using var bad = await ServerAsync(spoil: async context =>
        {
            if (!Volatile.Read(ref isSpoilt))
            {
                return false;
            }
            switch (how)
            {
                case "garbage":
                    await context.Response.WriteAsync("<html>\0");
                    break;
                case "429":
                    context.Response.StatusCode = 429;
                    context.Response.Headers.RetryAfter = "1";
                    break;
                case "500":
                    context.Response.StatusCode = 500;
                    break;
                case "too few":
                    await context.Response.WriteAsync("""{"model_name":"pair","outputs":[{"name":"both","datatype":"FP32","shape":[0,2],"data":[]}]}""");
                    break;
                case "slowly":
                    await Task.Delay(TimeSpan.FromSeconds(20), context.RequestAborted);
                    return false;
                case "hang up":
                    context.Abort();
                    break;
                default:
                    break;
            }
            return true;
        });
        await using var first = await ServerAsync();
        await using var second = await ServerAsync();
        using var host = await HostAsync(new OpenInferenceOptions { Model = "pair" }, bad, first, second);
        await using var load = LoadOn(host);
        await load.Until(() => load.Monitor.GetReport().ReadyInstances == 3);
        await load.GoOnAsync(500);
        Volatile.Write(ref isSpoilt, true);
        await load.Until(() => load.Monitor.GetReport().OutOfRotation == 1);
        await load.GoOnAsync(500);
        Volatile.Write(ref isSpoilt, false);
        await load.Until(() => load.Monitor.GetReport() is { OutOfRotation: 0, ReadyInstances: 3 });
        await load.GoOnAsync(500);
        await load.EndAsync(attainment: 0.99);
        await host.StopAsync();
    }

    [Fact]
    public async Task AServerThatHangsIsGivenUpOnAndUsedAgainOnceItAnswers()
    {
        var hold = new TaskCompletionSource();
        hold.SetResult();
        await using var slow = await ServerAsync(spoil: async context =>
        {
            await Volatile.Read(ref hold).Task.WaitAsync(context.RequestAborted);
            return false;
        });
        await using var first = await ServerAsync();
        await using var second = await ServerAsync();
        using var host = await HostAsync(new OpenInferenceOptions { Model = "pair" }, slow, first, second);
        await using var load = LoadOn(host);
        await load.Until(() => load.Monitor.GetReport().ReadyInstances == 3);
        await load.GoOnAsync(500);
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Volatile.Write(ref hold, held);
        await load.Until(() => load.Monitor.GetReport().OutOfRotation == 1);
        await load.GoOnAsync(500);
        held.SetResult();
        await load.Until(() => load.Monitor.GetReport() is { OutOfRotation: 0, ReadyInstances: 3 });
        await load.EndAsync(attainment: 0.99);
        await host.StopAsync();
    }

    [Fact]
    public async Task ACallThatIsNotAnsweredSoonIsHedged()
    {
        var hold = new TaskCompletionSource();
        hold.SetResult();
        var hedged = 0;
        await using var slow = await ServerAsync(spoil: async context =>
        {
            await Volatile.Read(ref hold).Task.WaitAsync(context.RequestAborted);
            return false;
        });
        await using var other = await ServerAsync(spoil: _ => Task.FromResult(Interlocked.Increment(ref hedged) < 0));
        using var host = await HostAsync(
            new OpenInferenceOptions { Model = "pair", HedgeAfter = TimeSpan.FromMilliseconds(20), LeastCallTimeout = TimeSpan.FromSeconds(30) }, slow, other);
        await using var load = LoadOn(host);
        await load.Until(() => load.Monitor.GetReport().ReadyInstances == 2);
        // No call is given up for half a minute: it is the other server that answers.
        Volatile.Write(ref hold, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        var before = Volatile.Read(ref hedged);
        await load.GoOnAsync(1000);
        Assert.True(Volatile.Read(ref hedged) > before);
        // It is noticed that it never answers, all the same.
        await load.Until(() => load.Monitor.GetReport().OutOfRotation == 1);
        hold.SetResult();
        await load.EndAsync(attainment: 0.99);
        await host.StopAsync();
    }

    [Fact]
    public async Task AServerThatIsGoneIsTakenAgainWhenItIsBack()
    {
        var gone = await ServerAsync();
        var port = gone.Address.Port;
        await using var first = await ServerAsync();
        await using var second = await ServerAsync();
        using var host = await HostAsync(new OpenInferenceOptions { Model = "pair" }, gone, first, second);
        await using var load = LoadOn(host);
        await load.Until(() => load.Monitor.GetReport().ReadyInstances == 3);
        await load.GoOnAsync(500);
        await gone.DisposeAsync();
        await load.Until(() => load.Monitor.GetReport().ReadyInstances == 2);
        await load.GoOnAsync(500);
        await using var back = await ServerAsync(port);
        await load.Until(() => load.Monitor.GetReport().ReadyInstances == 3);
        await load.EndAsync(attainment: 0.99);
        await host.StopAsync();
    }

    [Fact]
    public async Task WhatAServerRefusesFailsAloneAndTheServerStays()
    {
        await using var server = await ServerAsync(spoil: async context =>
        {
            context.Request.EnableBuffering();
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            context.Request.Body.Position = 0;
            // One number among all, as the binary form has it.
            if (body.ToArray().AsSpan().IndexOf(BitConverter.GetBytes(13.5f)) < 0)
            {
                return false;
            }
            context.Response.StatusCode = 400;
            await context.Response.WriteAsync("""{"error":"unlucky"}""");
            return true;
        });
        using var host = await HostAsync(new OpenInferenceOptions { Model = "pair" }, server);
        var client = Microsoft.Extensions.DependencyInjection.ServiceProviderKeyedServiceExtensions.GetRequiredKeyedService<IModelClient<float[], float[]>>(host.Services, "pair");
        var results = await client.TryInferManyAsync(Enumerable.Range(0, 40).Select(i => new float[] { i == 20 ? 13.5f : i, 1 }).ToArray());
        Assert.Equal([20], Enumerable.Range(0, 40).Where(i => !results[i].Succeeded));
        Assert.Contains("unlucky", results[20].Error!.Message, StringComparison.Ordinal);
        await host.StopAsync();
    }
}
