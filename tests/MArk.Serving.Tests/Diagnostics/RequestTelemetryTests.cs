using System.Diagnostics.Metrics;
using MArk.Serving.Batching;
using MArk.Serving.Provisioning;
using MArk.Serving.Tests.Engine;

namespace MArk.Serving.Tests.Diagnostics;

/// <summary>Every request that is answered well is measured once, wherever that was; and all that have ended are counted by outcome.</summary>
public sealed class RequestTelemetryTests
{
    private const string Duration = "mark.serving.request.duration";

    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(5) };

    private static ValueTask Double(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, 2 * batch[i]);
        }
        return ValueTask.CompletedTask;
    }

    private static Dictionary<string, int> ServedBy(MeterProbe meter) =>
        meter.Recorded(Duration).CountBy(m => m.Tags["mark.request.served_by"]).ToDictionary();

    [Fact]
    public async Task ASpilledRequestIsMeasuredAndCounted()
    {
        using var meter = new MeterProbe("spills");
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(
            m => m.UseBatchFunction(doubler.RunAsync).UseBatchPolicy(_ => new NoBatchingPolicy()).WithOptions(o => o.MaxQueueLength = 1)
                .UseSpillover(Double, () => new SpilloverQuote
                {
                    Warm = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)), Cold = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)),
                    FreeConcurrency = 100, ValidFor = TimeSpan.FromMinutes(1),
                }),
            model: "spills");
        var running = host.Client.TryInferAsync(1, Patient).AsTask();
        await doubler.Entered.WaitAsync();
        var waiting = host.Client.TryInferAsync(2, Patient).AsTask();
        Assert.True((await host.Client.TryInferAsync(3, Patient)).Spilled);
        doubler.Open();
        await Task.WhenAll(running, waiting);
        var report = await host.UntilAsync(r => r.Succeeded == 3);

        Assert.Equal(new() { ["instance"] = 2, ["spillover"] = 1 }, ServedBy(meter));
        Assert.Equal(2, meter.Recorded("mark.serving.batch.size").Count);
        Assert.Equal(report.Spilled, Assert.Single(meter.Observe("mark.serving.spillover.requests")).Value);
    }

    [Fact]
    public async Task WhatABatchHadAnsweredBeforeItFailedIsMeasured()
    {
        using var meter = new MeterProbe("fails");
        var doubler = new GatedDoubler();
        var fails = 1;
        await using var host = await ServingHost.StartAsync(
            m => m.UseBatchPolicy(_ => new FixedWindowBatchPolicy(32, TimeSpan.Zero)).UseBatchFunction(async (batch, sink, token) =>
            {
                if (batch.Count == 3 && Interlocked.Exchange(ref fails, 0) == 1)
                {
                    sink.SetResult(0, 2 * batch[0]);
                    throw new InvalidOperationException("boom");
                }
                await doubler.RunAsync(batch, sink, token);
            }),
            model: "fails");
        var first = host.Client.InferAsync(0, Patient).AsTask();
        await doubler.Entered.WaitAsync();
        var rest = Enumerable.Range(1, 3).Select(i => host.Client.InferAsync(i, Patient).AsTask()).ToArray();
        await host.UntilAsync(r => r.Waiting == 3);
        doubler.Open();
        await Task.WhenAll([first, .. rest]);
        var report = await host.UntilAsync(r => r.Succeeded == 4);

        Assert.Equal(0, fails);
        Assert.Equal(new() { ["instance"] = 4 }, ServedBy(meter));
        Assert.Equal(report.BatchesByReason.Values.Sum(), meter.Recorded("mark.serving.batch.size").Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task WhatAnInstanceHadAnsweredBeforeItWasLostIsMeasuredOnce(bool heedsToken)
    {
        var model = $"loses, {heedsToken}";
        using var meter = new MeterProbe(model);
        var provider = new ScriptedProvider();
        var ends = new TaskCompletionSource();
        var ended = new TaskCompletionSource();
        var runs = 0;
        await using var host = await ServingHost.StartAsync(
            m => m.UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1)).WithSlo(TimeSpan.FromMinutes(1))
                .WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 4))
                .WithOptions(o =>
                {
                    o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
                    o.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
                    o.Fleet.Horizon = 3;
                })
                .UseBatchFunction(async (batch, sink, token) =>
                {
                    await Double(batch, sink, token);
                    if (Interlocked.Increment(ref runs) == 1)
                    {
                        try
                        {
                            await (heedsToken ? ends.Task.WaitAsync(token) : ends.Task);
                        }
                        finally
                        {
                            ended.SetResult();
                        }
                    }
                }),
            model: model);
        await host.UntilAsync(r => r.ReadyInstances == 1);
        Assert.Equal(2, await host.Client.InferAsync(1, Patient));
        var lost = provider.Machines.Single().Id;
        provider.Change(lost, InstanceState.Terminated);
        await host.UntilAsync(r => provider.Machines is [{ } next] && next.Id != lost && r.ReadyInstances == 1);
        Assert.Equal(4, await host.Client.InferAsync(2, Patient));
        await host.UntilAsync(r => r.Succeeded == 2 && meter.Recorded(Duration).Count >= 2);
        ends.SetResult();
        await ended.Task;
        await host.StopAsync();

        Assert.Equal(new() { ["instance"] = 2 }, ServedBy(meter));
        Assert.Equal(host.Monitor.GetReport().BatchesByReason.Values.Sum(), meter.Recorded("mark.serving.batch.size").Count);
    }

    [Fact]
    public async Task WhatIsNotAdmittedIsCountedAsInvalid()
    {
        using var meter = new MeterProbe("refuses");
        await using var host = await ServingHost.StartAsync(
            m => m.UseBatchFunction(Double).WithSize(i => i).WithOptions(o => o.MaxQueueBytes = 1000), model: "refuses");
        await host.Client.InferAsync(1, Patient);
        await Assert.ThrowsAsync<InvalidInputException>(async () => await host.Client.InferAsync(1001, Patient));
        Assert.Equal(InferenceStatus.Invalid, (await host.Client.TryInferAsync(1, new() { Timeout = TimeSpan.Zero })).Status);
        var many = await host.Client.TryInferManyAsync(new[] { 2, 1002, 1003 }, Patient);
        Assert.Equal([InferenceStatus.Succeeded, InferenceStatus.Invalid, InferenceStatus.Invalid], many.Select(r => r.Status));
        var report = await host.UntilAsync(r => r.Succeeded == 2);

        var outcomes = meter.Observe("mark.serving.requests", "mark.request.outcome");
        Assert.Equal((4, 2), (outcomes["invalid"], outcomes["in_time"] + outcomes["late"]));
        Assert.Equal(2, report.Offered);
    }
}

/// <summary>Alone, since the whole process is measured.</summary>
[Collection(nameof(RequestTelemetryCostTests))]
[CollectionDefinition(nameof(RequestTelemetryCostTests), DisableParallelization = true)]
public sealed class RequestTelemetryCostTests
{
    [Fact]
    public async Task ARequestThatIsMeasuredAllocatesNothing()
    {
        using var listener = new MeterListener();
        var heard = 0;
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Name is "mark.serving.request.duration" or "mark.serving.batch.size")
            {
                l.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<double>((_, _, _, _) => Interlocked.Increment(ref heard));
        listener.SetMeasurementEventCallback<int>((_, _, _, _) => { });
        listener.Start();
        await using var host = await ServingHost.StartAsync(m => m.WithSlo(TimeSpan.FromMinutes(1)).UseBatchFunction((batch, sink, _) =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                sink.SetResult(i, 2 * batch[i]);
            }
            return ValueTask.CompletedTask;
        }));
        var client = host.Client;
        await AskAsync(client, 10_000);     // pools and lists
        var least = long.MaxValue;
        for (var round = 0; round < 10 && least >= 1000; round++)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);
            await AskAsync(client, 1000);
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }
        // The call of AskAsync itself, and nothing for each request.
        Assert.InRange(least, 0, 999);
        Assert.True(heard > 10_000);
    }

    private static async Task AskAsync(IModelClient<int, int> client, int count)
    {
        for (var i = 0; i < count; i++)
        {
            await client.InferAsync(i);
        }
    }
}
