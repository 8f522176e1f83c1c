namespace MArk.Serving.Tests.Engine;

/// <summary>Issue 3, feature 6: overload costs no exception object for callers that use the TryInfer-style result. Alone, since the whole process is measured.</summary>
[Collection(nameof(RejectionCostTests))]
[CollectionDefinition(nameof(RejectionCostTests), DisableParallelization = true)]
public sealed class RejectionCostTests
{
    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10), WhenUnreachable = WhenUnreachable.ServeLate };

    [Fact]
    public void ARejectionAllocatesNothingUntilItsErrorIsAskedFor()
    {
        var result = InferenceResult<int>.Rejection("m", RejectionReason.QueueFull, TimeSpan.FromSeconds(2));
        var before = GC.GetAllocatedBytesForCurrentThread();
        result = InferenceResult<int>.Rejection("m", RejectionReason.QueueFull, TimeSpan.FromSeconds(2));
        var read = (result.Status, result.RejectionReason, result.RetryAfter, result.Succeeded);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal((InferenceStatus.Rejected, RejectionReason.QueueFull, TimeSpan.FromSeconds(2), false), read);
        var error = Assert.IsType<InferenceRejectedException>(result.Error);
        Assert.Equal(("m", RejectionReason.QueueFull, TimeSpan.FromSeconds(2)), (error.ModelName, error.Reason, error.RetryAfter));
        Assert.Equal("Model 'm' rejected the request: its queue is full. Try again after 2 s.", error.Message);
        Assert.Same(error, InferenceResult<int>.Failure(error).Error);
    }

    [Fact]
    public async Task AFullQueueRejectsWithoutAllocating()
    {
        var doubler = new GatedDoubler();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(doubler.RunAsync).WithOptions(o => o.MaxQueueLength = 1));
        var running = host.Client.InferAsync(0, Patient).AsTask();
        await doubler.Entered.WaitAsync();
        var waiting = host.Client.InferAsync(1, Patient).AsTask();
        var client = host.Client;
        Assert.Equal((1000, 1000), await RejectManyAsync(client, 1000));      // pools and lists
        var least = long.MaxValue;
        for (var round = 0; round < 10 && least >= 1000; round++)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);
            var (rejected, withHint) = await RejectManyAsync(client, 1000);
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
            Assert.Equal((1000, 1000), (rejected, withHint));
        }
        // The call of RejectManyAsync itself, and nothing for each rejection.
        Assert.InRange(least, 0, 999);
        var error = await Assert.ThrowsAsync<InferenceRejectedException>(async () => await client.InferAsync(2, Patient));
        Assert.Equal(("m", RejectionReason.QueueFull), (error.ModelName, error.Reason));
        Assert.True(error.RetryAfter > TimeSpan.Zero);
        doubler.Open();
        await Task.WhenAll(running, waiting);
    }

    private static async Task<(int Rejected, int WithHint)> RejectManyAsync(IModelClient<int, int> client, int count)
    {
        var (rejected, withHint) = (0, 0);
        for (var i = 0; i < count; i++)
        {
            var result = await client.TryInferAsync(i, Patient);
            rejected += result.RejectionReason == RejectionReason.QueueFull ? 1 : 0;
            withHint += result.RetryAfter > TimeSpan.Zero ? 1 : 0;
        }
        return (rejected, withHint);
    }
}
