using MArk.Serving.Spillover;
using MArk.Serving.Tests.Engine;

namespace MArk.Serving.Tests.Spillover;

public sealed class LocalSpilloverVersionTests
{
    [Fact]
    public async Task ARequestThatRunsOnTheOldVersionAtASwitchIsAnsweredThoughItsCopyDoesNotEndCleanly()
    {
        var entered = new TaskCompletionSource();
        var gate = new TaskCompletionSource();
        var old = new VersionedModel(2) { FailsToEnd = new InvalidOperationException("stuck") };
        var next = new VersionedModel(3);
        var reported = new List<ServingException>();
        await using var target = new LocalSpilloverTarget<int, int>(old, (false, 0), new LocalSpilloverOptions { MaxConcurrency = 2 }, "m", TimeProvider.System);
        await target.InitializeAsync(CancellationToken.None);
        old.Before = batch =>
        {
            entered.SetResult();
            return gate.Task;
        };
        var under = RunAsync(target, 5);
        await entered.Task;
        var change = await target.PrepareAsync(next, CancellationToken.None);
        await change.SwitchAsync(reported.Add);
        Assert.Equal(21, await RunAsync(target, 7));
        Assert.Empty(reported);
        gate.SetResult();
        Assert.Equal(10, await under);
        Assert.Contains("did not end cleanly: stuck", Assert.Single(reported).Message);
        Assert.Equal((0, 1), (old.Loaded, next.Loaded));
    }

    private static async Task<int> RunAsync(LocalSpilloverTarget<int, int> target, int input)
    {
        var answers = new List<int>();
        await target.InferAsync(new RequestBatch<int>(new[] { input }), new ListSink(answers), CancellationToken.None);
        return Assert.Single(answers);
    }
}
