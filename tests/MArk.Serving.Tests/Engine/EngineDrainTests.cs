using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Tests.Engine;

/// <summary>Issue 3, feature 8: a stop takes nothing new, finishes what was accepted within the drain deadline, and says of each call it could not finish that it is so.</summary>
public sealed class EngineDrainTests
{
    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10), WhenUnreachable = WhenUnreachable.ServeLate };

    private readonly FakeTimeProvider _time = new();
    private readonly GatedDoubler _doubler = new();

    private Task<ServingHost> StartAsync() => ServingHost.StartAsync(m =>
    {
        m.Services.AddSingleton<TimeProvider>(_time);
        m.UseBatchFunction(_doubler.RunAsync).WithOptions(o =>
        {
            o.MaxBatchSize = 1;
            o.DrainTimeout = TimeSpan.FromSeconds(10);
        });
    });

    private static async Task<T> Soon<T>(Task<T> task) => await task.WaitAsync(TimeSpan.FromSeconds(60));

    /// <summary>Calls until the stop has begun, which is told by a refusal.</summary>
    private static async Task UntilItRefusesAsync(ServingHost host)
    {
        while ((await host.Client.TryInferAsync(99, new InferenceOptions { Timeout = TimeSpan.FromTicks(1), WhenUnreachable = WhenUnreachable.Reject })).RejectionReason != RejectionReason.Draining)
        {
            await Task.Yield();
        }
    }

    [Fact]
    public async Task WhatWasAcceptedIsFinishedUpToTheDrainDeadline()
    {
        var host = await StartAsync();
        var accepted = Enumerable.Range(1, 3).Select(i => host.Client.TryInferAsync(i, Patient).AsTask()).ToArray();
        await _doubler.Entered.WaitAsync();
        var stop = host.StopAsync();
        await UntilItRefusesAsync(host);
        _time.Advance(TimeSpan.FromSeconds(9.9));
        Assert.False(stop.IsCompleted);
        _doubler.Open();
        Assert.Equal([2, 4, 6], (await Soon(Task.WhenAll(accepted))).Select(r => r.Value));
        await stop.WaitAsync(TimeSpan.FromMinutes(1));
        Assert.Empty(host.Log.Errors);
        Assert.DoesNotContain(host.Log.Warnings, w => w.Contains("without having finished"));
        await host.DisposeAsync();
    }

    [Fact]
    public async Task WhatIsNotFinishedByTheDrainDeadlineIsToldSoAndTheStopEnds()
    {
        var host = await StartAsync();
        var accepted = Enumerable.Range(1, 3).Select(i => host.Client.TryInferAsync(i, Patient).AsTask()).ToArray();
        await _doubler.Entered.WaitAsync();
        var stop = host.StopAsync();
        await UntilItRefusesAsync(host);
        _doubler.Open(1);
        Assert.Equal(2, (await Soon(accepted[0])).Value);
        await _doubler.Entered.WaitAsync();
        // One runs and one waits.
        var before = host.Monitor.GetReport();
        _time.Advance(TimeSpan.FromSeconds(10));
        await stop.WaitAsync(TimeSpan.FromMinutes(1));
        Assert.Equal(InferenceStatus.Rejected, (await Soon(accepted[2])).Status);
        Assert.Equal(RejectionReason.Draining, (await Soon(accepted[2])).RejectionReason);
        Assert.Equal(RejectionReason.Draining, (await Soon(accepted[1])).RejectionReason);
        Assert.DoesNotContain(_doubler.Batches, b => b.Contains(3));
        var report = host.Monitor.GetReport();
        Assert.Equal((1, before.Rejected + 2, 0, 0), (report.Succeeded, report.Rejected, report.Failed, report.Waiting));
        Assert.Equal(report.Offered, report.Succeeded + report.Rejected);
        Assert.Contains(host.Log.Warnings, w => w.Contains("1 requests waited and 1 had begun") && w.Contains("DrainTimeout is 00:00:10"));
        await host.DisposeAsync();
    }

    [Fact]
    public async Task AStoppedModelRefusesForEver()
    {
        var host = await StartAsync();
        await host.StopAsync();
        Assert.Equal(RejectionReason.Draining, (await Soon(host.Client.TryInferAsync(1).AsTask())).RejectionReason);
        var client = host.Client;
        await host.DisposeAsync();
        using var source = new CancellationTokenSource();
        Assert.Equal(RejectionReason.Draining, (await Soon(client.TryInferAsync(1, default, source.Token).AsTask())).RejectionReason);
    }
}
