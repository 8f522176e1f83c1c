using MArk.Serving.Engine;

namespace MArk.Serving.Tests.Engine;

/// <summary>Issue 3, features 3 and 5: the bounds that a model is configured with are those that its engine keeps.</summary>
public sealed class BoundsOfModelTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10), WhenUnreachable = WhenUnreachable.ServeLate };

    private readonly GatedDoubler _doubler = new();

    private static Task<ServingHost> StartAsync(string setting, string value, BatchFunction<int, int> function) =>
        ServingHost.StartAsync(m => m.UseBatchFunction(function).WithSlo(Minute), new() { [$"MArk:Models:m:{setting}"] = value });

    [Fact]
    public async Task WithoutExtraRunsAFailedBatchFailsWhole()
    {
        await using var host = await StartAsync("MaxRetryRuns", "0", (batch, sink, ct) =>
            batch.Inputs.Contains(3) ? throw new FormatException("three") : _doubler.RunAsync(batch, sink, ct));
        var first = host.Client.InferAsync(0, Patient).AsTask();
        await _doubler.Entered.WaitAsync();
        var calls = Enumerable.Range(1, 4).Select(i => host.Client.TryInferAsync(i, Patient).AsTask()).ToArray();
        _doubler.Open();
        await first.WaitAsync(Minute);
        Assert.All(await Task.WhenAll(calls).WaitAsync(Minute), r => Assert.Equal(InferenceStatus.Failed, r.Status));
        Assert.Equal(0, host.Monitor.GetReport().ExtraRuns);
    }

    [Fact]
    public async Task WithoutRedeliveriesARequestFailsWithItsInstance()
    {
        var runs = 0;
        await using var host = await StartAsync("MaxRedeliveries", "0", (batch, sink, ct) =>
            Interlocked.Increment(ref runs) == 1 ? throw new InstanceFailedException("the device is gone") : _doubler.RunAsync(batch, sink, ct));
        _doubler.Open();
        var error = await Assert.ThrowsAsync<InferenceFailedException>(async () => await host.Client.InferAsync(1, Patient));
        Assert.Contains("more than 0 instances were lost or failed while it ran; the last one: the device is gone", error.Message);
    }

    [Fact]
    public async Task HeadroomIsKeptForHigherClasses()
    {
        await using var host = await ServingHost.StartAsync(
            m => m.UseBatchFunction(_doubler.RunAsync).WithSlo(Minute), new() { ["MArk:Models:m:PriorityHeadroom"] = "0.5", ["MArk:Models:m:MaxQueueLength"] = "10" });
        var running = host.Client.InferAsync(0, Patient).AsTask();
        await _doubler.Entered.WaitAsync();
        var low = Patient with { Priority = RequestPriority.Low };
        var waiting = new[] { host.Client.InferAsync(1, low).AsTask(), host.Client.InferAsync(2, low).AsTask() };
        Assert.Equal(RejectionReason.QueueFull, (await host.Client.TryInferAsync(3, low).AsTask().WaitAsync(Minute)).RejectionReason);
        Assert.Equal(2, host.Monitor.GetReport().Waiting);
        _doubler.Open();
        var answers = await Task.WhenAll([running, .. waiting]).WaitAsync(Minute);
        Assert.Equal([0, 2, 4], answers);
    }
}
