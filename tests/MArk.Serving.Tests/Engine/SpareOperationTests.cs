using MArk.Serving.Engine;

namespace MArk.Serving.Tests.Engine;

public sealed class SpareOperationTests
{
    [Fact]
    public async Task AThreadThatServedAModelThatHasEndedTakesUpAnother()
    {
        await using var first = await StartAsync();
        await using var second = await StartAsync();
        bool? keptEnded = null, keepsEnded = null;
        await Task.Factory.StartNew(() =>
        {
            Ask(first);
            first.StopAsync().GetAwaiter().GetResult();
            keptEnded = SpareOperation.OfThread?.HasEnded;
            Ask(second);
            keepsEnded = SpareOperation.OfThread?.HasEnded;
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);      // a thread of its own
        Assert.Equal((true, false), (keptEnded, keepsEnded));
    }

    private static Task<ServingHost> StartAsync() => ServingHost.StartAsync(m => m.UseBatchFunction((batch, sink, _) =>
    {
        sink.SetResults(0, batch.Inputs);
        return ValueTask.CompletedTask;
    }));

    /// <summary>Takes the answer on the calling thread.</summary>
    private static void Ask(ServingHost host)
    {
        var answer = host.Client.InferAsync(7);
        SpinWait.SpinUntil(() => answer.IsCompleted);
        Assert.Equal(7, answer.GetAwaiter().GetResult());
    }
}
