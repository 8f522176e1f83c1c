using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.Tests.Engine;

/// <summary>Answers that meet the end of their batch, their instance or their host, each race laid open: nobody is lost, goes uncounted, or gets what is another's.</summary>
public sealed class AnswerRaceTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly LatencyProfile OneAtATime = LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1);

    private static async Task<T> Soon<T>(Task<T> task) => await task.WaitAsync(TimeSpan.FromSeconds(10));

    private static ValueTask Double(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, 2 * batch[i]);
        }
        return ValueTask.CompletedTask;
    }

    private static void Quick(Configuration.ModelOptions options)
    {
        options.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
        options.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
        options.Fleet.Horizon = 3;
    }

    /// <summary>Answers on a thread that is held in the middle of it, until <paramref name="go"/>.</summary>
    private static Task<Exception?> AnswerHeld(IBatchSink<int> sink, int index, int result, TaskCompletionSource isHeld, Task go) => Task.Factory.StartNew(
        () =>
        {
            InterruptingClock.InterruptThisThread(() =>
            {
                isHeld.SetResult();
                go.Wait();
            });
            return Record.Exception(() => sink.SetResult(index, result));
        },
        CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    [Fact]
    public async Task AnAnswerThatIsUnderWayWhenItsRunReturnsLosesNobody()
    {
        var isHeld = new TaskCompletionSource();
        var go = new TaskCompletionSource();
        var answering = new TaskCompletionSource<Task<Exception?>>();
        await using var host = await ServingHost.StartAsync(m =>
        {
            m.Services.AddSingleton<TimeProvider>(new InterruptingClock());
            m.WithSlo(Minute).UseBatchFunction(async (batch, sink, token) =>
            {
                if (answering.Task.IsCompleted)
                {
                    await Double(batch, sink, token);
                    return;
                }
                answering.SetResult(AnswerHeld(sink, 0, 2 * batch[0], isHeld, go.Task));
                await isHeld.Task;
            });
        });
        var call = host.Client.TryInferAsync(21).AsTask();
        await isHeld.Task;
        // The next batch is run when the first is over and done with.
        Assert.Equal(2, await Soon(host.Client.InferAsync(1).AsTask()));
        go.SetResult();
        var thrown = await Soon(await answering.Task);
        Assert.True(thrown is null or ArgumentOutOfRangeException, $"{thrown}");
        // The runner should have waited for it: the call may be failed for that, but not lost.
        var result = await Soon(call);
        Assert.True(result.Succeeded ? result.Value == 42 : result.Error is ContractViolationException, $"{result.Status} {result.Error}");
    }

    [Fact]
    public async Task AnAnswerThatIsUnderWayWhenItsInstanceIsLostIsCounted()
    {
        var provider = new ScriptedProvider();
        var isHeld = new TaskCompletionSource();
        var go = new TaskCompletionSource();
        var answering = new TaskCompletionSource<Task<Exception?>>();
        var runs = 0;
        await using var host = await ServingHost.StartAsync(m =>
        {
            m.Services.AddSingleton<TimeProvider>(new InterruptingClock());
            m.WithProfile("o", OneAtATime).WithSlo(Minute).UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1)).WithOptions(Quick);
            m.UseBatchFunction(async (batch, sink, token) =>
            {
                if (Interlocked.Increment(ref runs) > 1)
                {
                    await Double(batch, sink, token);
                    return;
                }
                answering.SetResult(AnswerHeld(sink, 0, 2 * batch[0], isHeld, go.Task));
                await await answering.Task;
            });
        });
        var call = host.Client.TryInferAsync(21).AsTask();
        await isHeld.Task;
        provider.Change(provider.Machines.Single().Id, InstanceState.Terminated);
        // Only another instance can serve this.
        Assert.Equal(2, await Soon(host.Client.InferAsync(1).AsTask()));
        go.SetResult();
        Assert.Null(await Soon(await answering.Task));
        Assert.Equal(42, (await Soon(call)).Value);
        await host.StopAsync();
        var report = host.Monitor.GetReport();
        Assert.Equal((2, 2), (report.Offered, report.Succeeded));
    }

    [Fact]
    public async Task AnAnswerAfterAHardStopDoesNotMeetAnotherCall()
    {
        IBatchSink<int>? sink = null;
        var entered = new TaskCompletionSource();
        var never = new TaskCompletionSource();
        var host = await ServingHost.StartAsync(m =>
        {
            m.Services.AddSingleton<TimeProvider>(new InterruptingClock());
            m.WithSlo(Minute).WithOptions(o => o.DrainTimeout = TimeSpan.Zero).UseBatchFunction(async (_, s, _) =>
            {
                sink = s;
                entered.SetResult();
                await never.Task;
            });
        });
        var client = host.Client;
        var first = client.TryInferAsync(1);
        await entered.Task;
        var stop = host.StopAsync();
        // From here to the second call on one thread, whose next call is the first one used again.
        var (given, result) = await Task.Factory.StartNew(
            () =>
            {
                Assert.True(SpinWait.SpinUntil(() => first.IsCompleted, Minute));
                var given = first.Result;
                InterruptingClock.InterruptThisThread(() => Record.Exception(() => sink!.SetResult(0, 777)));
                return (given, client.TryInferAsync(2).AsTask().Result);
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        never.SetResult();
        await stop;
        await host.DisposeAsync();
        Assert.Equal(RejectionReason.Draining, given.RejectionReason);
        Assert.Equal((InferenceStatus.Rejected, RejectionReason.Draining), (result.Status, result.RejectionReason));
    }
}
