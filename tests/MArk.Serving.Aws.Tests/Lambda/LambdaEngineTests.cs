using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.Aws.Tests.Lambda;

/// <summary>A host whose fleet is too slow for a burst.</summary>
public sealed class LambdaEngineTests
{
    [Fact]
    public async Task ABurstThatTheFleetCannotServeIsSpilledAndEachRequestEndsOnce()
    {
        await using var stub = await StubLambda.StartAsync();
        using var fleet = new SlowFleet();
        using var host = await HostAsync(stub, fleet);
        var measured = stub.Sizes.Length;
        var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("pair");
        var calls = Enumerable.Range(0, 200).Select(i => client.InferOneAsync(i)).ToArray();
        // The fleet goes on only when the function has done its part.
        await UntilAsync(() => calls.Count(c => c.IsCompleted) >= 100);
        fleet.GoOn();
        await Task.WhenAll(calls);
        Assert.All(calls, (c, i) => Assert.Equal([i + 2f, 2f * i], c.Result));
        var monitor = host.Services.GetRequiredKeyedService<IModelMonitor>("pair");
        // The function ran what was spilled, and no more. A spilled request is counted after its caller has gone on.
        var ran = stub.Sizes[measured..].Sum();
        await UntilAsync(() => monitor.GetReport().Spilled >= ran);
        var report = monitor.GetReport();
        Assert.True(report.Spilled >= 100, $"{report.Spilled}");
        Assert.Equal(ran, report.Spilled);
        Assert.Equal((report.Spilled, true), (report.Cost.SpilledRequests, report.Cost.SpilloverCost > 0));
        await host.StopAsync();
    }

    [Fact]
    public async Task WhatTheFunctionGivesBackIsServedByTheFleet()
    {
        await using var stub = await StubLambda.StartAsync();
        using var fleet = new SlowFleet();
        using var host = await HostAsync(stub, fleet);
        var refused = 0;
        stub.Intercept = i =>
        {
            Interlocked.Increment(ref refused);
            return i.RefuseAsync(429, "TooManyRequestsException", "Rate Exceeded.");
        };
        var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("pair");
        var calls = Enumerable.Range(0, 200).Select(i => client.InferOneAsync(i)).ToArray();
        await UntilAsync(() => Volatile.Read(ref refused) > 0);
        fleet.GoOn();
        await Task.WhenAll(calls);
        Assert.All(calls, (c, i) => Assert.Equal([i + 2f, 2f * i], c.Result));
        Assert.Equal(0, host.Services.GetRequiredKeyedService<IModelMonitor>("pair").GetReport().Spilled);
        await host.StopAsync();
    }

    private static async Task<IHost> HostAsync(StubLambda stub, SlowFleet fleet)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>("pair", m => m
            .UseBatchFunction(fleet.RunAsync)
            // Known to be slow: some twenty requests are all that it could do in time.
            .WithProfile("in-process", LatencyProfile.Linear(TimeSpan.FromMilliseconds(400), TimeSpan.Zero, 4))
            .UseLambdaSpillover(o => TestTarget.Set(o, stub.Address))
            .WithOptions(o => (o.Slo, o.MaxBatchSize) = (TimeSpan.FromSeconds(2), 4)));
        var host = builder.Build();
        await host.StartAsync();
        return host;
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var tooLong = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!condition())
        {
            await Task.Delay(5, tooLong.Token);
        }
    }

    /// <summary>Takes a batch, and does not answer it before it is told to.</summary>
    private sealed class SlowFleet : IDisposable
    {
        private readonly TaskCompletionSource _goOn = new();

        public async ValueTask RunAsync(RequestBatch<float[]> batch, IBatchSink<float[]> sink, CancellationToken cancellationToken)
        {
            await _goOn.Task.WaitAsync(cancellationToken);
            for (var i = 0; i < batch.Count; i++)
            {
                sink.SetResult(i, [batch[i][0] + batch[i][1], batch[i][0] * batch[i][1]]);
            }
        }

        public void GoOn() => _goOn.TrySetResult();

        public void Dispose() => _goOn.TrySetResult();
    }
}

internal static class Clients
{
    public static async Task<float[]> InferOneAsync(this IModelClient<float[], float[]> client, int i) => await client.InferAsync([i, 2]);
}
