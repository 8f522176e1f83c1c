using System.Collections.Concurrent;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.Tests.Engine;

/// <summary>
/// Issue 3, feature 2: callers that go while something else becomes of their request, each race laid open: they are counted, not run again, and nobody runs what they did not ask.
/// </summary>
public sealed class CancellationRaceTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10), WhenUnreachable = WhenUnreachable.ServeLate };

    private readonly GatedDoubler _doubler = new();

    private static async Task Soon(Task task) => await task.WaitAsync(TimeSpan.FromSeconds(10));

    private static async Task<T> Soon<T>(Task<T> task) => await task.WaitAsync(TimeSpan.FromSeconds(10));

    [Fact]
    public async Task EveryCancelledCallIsCountedHoweverItMeetsTheEndOfItsBatch()
    {
        const int Rounds = 100;
        await using var host = await ServingHost.StartAsync(m =>
        {
            m.Services.AddSingleton<TimeProvider>(new InterruptingClock());
            m.WithSlo(Minute).UseBatchFunction(_doubler.RunAsync);
        });
        var client = host.Client;
        var cancelled = 0;
        for (var i = 0; i < Rounds; i++)
        {
            using var source = new CancellationTokenSource();
            var call = client.TryInferAsync(i, default, source.Token).AsTask();
            await _doubler.Entered.WaitAsync();
            // Another caller is held in the middle of its arrival: the cancellation and the end of the batch both wait for it, and go on in either order.
            var isHeld = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var go = new TaskCompletionSource();
            var other = Task.Factory.StartNew(
                () =>
                {
                    InterruptingClock.InterruptThisThread(() =>
                    {
                        isHeld.SetResult();
                        go.Task.Wait();
                    });
                    return client.InferAsync(i).AsTask();
                },
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
            await isHeld.Task;
            var cancel = Task.Run(source.Cancel);
            SpinWait.SpinUntil(() => source.IsCancellationRequested);
            _doubler.Open(2);
            await Task.Yield();
            go.SetResult();
            await Soon(Task.WhenAll(other, call));
            await cancel;
            await _doubler.Entered.WaitAsync();
            cancelled += (await call).Status == InferenceStatus.Cancelled ? 1 : 0;
        }
        await host.StopAsync();
        var report = host.Monitor.GetReport();
        Assert.Equal((2 * Rounds, 2 * Rounds - cancelled, cancelled), (report.Offered, report.Succeeded, report.Cancelled));
    }

    [Fact]
    public async Task WhatIsSpilledWhenItsCallerGoesIsStillTheCallersInput()
    {
        var provider = new ScriptedProvider();
        var entered = new TaskCompletionSource();
        var spilled = new TaskCompletionSource<int>();
        Action? onQuote = null;
        using var source = new CancellationTokenSource();
        await using var host = await ServingHost.StartAsync(m => m
            .WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1)).WithSlo(Minute).UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1))
            .UseBatchFunction(async (_, _, token) =>
            {
                entered.TrySetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
            })
            .UseSpillover(
                (batch, sink, _) =>
                {
                    spilled.SetResult(batch[0]);
                    sink.SetResult(0, 2 * batch[0]);
                    return ValueTask.CompletedTask;
                },
                () =>
                {
                    Interlocked.Exchange(ref onQuote, null)?.Invoke();
                    return new SpilloverQuote
                    {
                        Warm = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)),
                        Cold = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)),
                        FreeConcurrency = 100,
                        ValidFor = Minute,
                    };
                }));
        var call = host.Client.TryInferAsync(21, new InferenceOptions { Timeout = TimeSpan.FromSeconds(50) }, source.Token).AsTask();
        await entered.Task;
        // The engine has decided to spill, and asks what it would cost; meanwhile the caller goes.
        Volatile.Write(ref onQuote, () =>
        {
            source.Cancel();
            call.Wait();
        });
        provider.OnLaunch = _ => new InvalidOperationException("no more machines");
        provider.Change(provider.Machines.Single().Id, InstanceState.Terminated);
        Assert.Equal(InferenceStatus.Cancelled, (await Soon(call)).Status);
        await host.StopAsync();
        Assert.True(!spilled.Task.IsCompleted || await spilled.Task == 21, "The target was given what nobody asked.");
    }

    /// <summary>Two calls of one batch that failed as a whole: the first is run again, the second waits for it.</summary>
    private async Task<(ServingHost Host, Task<InferenceResult<int>> Waits, CancellationTokenSource Source)> HalvedAsync()
    {
        var host = await ServingHost.StartAsync(m => m.WithSlo(TimeSpan.FromMinutes(1)).UseBatchFunction(async (batch, sink, token) =>
        {
            if (batch.Count > 1)
            {
                throw new InvalidOperationException("together");
            }
            await _doubler.RunAsync(batch, sink, token);
        }));
        var source = new CancellationTokenSource();
        _ = host.Client.TryInferAsync(0, Patient).AsTask();
        await _doubler.Entered.WaitAsync();
        _ = host.Client.TryInferAsync(1, Patient).AsTask();
        var waits = host.Client.TryInferAsync(2, Patient, source.Token).AsTask();
        _doubler.Open(1);
        await _doubler.Entered.WaitAsync();
        return (host, waits, source);
    }

    [Fact]
    public async Task ARequestThatWaitsToBeRunAgainLeavesAtOnceWhenItIsCancelled()
    {
        var (host, waits, source) = await HalvedAsync();
        await using (host)
        {
            var before = host.Monitor.GetReport().Waiting;
            source.Cancel();
            var after = host.Monitor.GetReport().Waiting;
            _doubler.Open();
            Assert.Equal(InferenceStatus.Cancelled, (await Soon(waits)).Status);
            await host.StopAsync();
            Assert.Equal(2, host.Monitor.GetReport().Succeeded);
            Assert.DoesNotContain(_doubler.Batches, b => b.Contains(2));
            Assert.Equal((1, 0), (before, after));
        }
        source.Dispose();
    }

    [Fact]
    public async Task ACallThatIsCancelledWhileARunHoldsItsMemoryIsNotRunAgain()
    {
        var batches = new ConcurrentQueue<int[]>();
        var go = new TaskCompletionSource();
        var entered = new TaskCompletionSource();
        using var source = new CancellationTokenSource();
        await using var host = await ServingHost.StartAsync(m => m.WithSlo(TimeSpan.FromMinutes(1)).UseBatchFunction(async (batch, sink, token) =>
        {
            batches.Enqueue(batch.Inputs.ToArray());
            if (batch[0] == 0)
            {
                entered.SetResult();
                await go.Task;
            }
            for (var i = 0; i < batch.Count; i++)
            {
                if (batch[i] == 2 && batch.Count > 1)
                {
                    Assert.True(sink.TryGetDestination(i, out _));
                    // The call cannot end while its memory may be written, and the run then fails.
                    source.Cancel();
                    throw new InvalidOperationException("together");
                }
            }
            for (var i = 0; i < batch.Count; i++)
            {
                sink.SetResult(i, 2 * batch[i]);
            }
        }));
        var first = host.Client.InferAsync(0).AsTask();
        await entered.Task;
        var mate = host.Client.InferAsync(1).AsTask();
        var gone = host.Client.TryInferIntoAsync(2, 5, default, source.Token).AsTask();
        go.SetResult();
        Assert.Equal((0, 2), (await Soon(first), await Soon(mate)));
        Assert.Equal(InferenceStatus.Cancelled, (await Soon(gone)).Status);
        Assert.Single(batches, b => b.Contains(2));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ACallWhoseMemoryALostRunHoldsEndsByItsTokenOnceTheRunDoes(bool fails)
    {
        var provider = new ScriptedProvider();
        var go = new TaskCompletionSource();
        var entered = new SemaphoreSlim(0);
        using var source = new CancellationTokenSource();
        await using var host = await ServingHost.StartAsync(m => m
            .UseBatchFunction(async (batch, sink, token) =>
            {
                Assert.True(sink.TryGetDestination(0, out _));
                entered.Release();
                await go.Task;
                if (fails)
                {
                    throw new InvalidOperationException("lost");
                }
                sink.SetResult(0, 2 * batch[0]);
            })
            .WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1)).WithSlo(Minute)
            .UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1))
            .WithOptions(o =>
            {
                o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
                o.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
                o.Fleet.Horizon = 3;
            }));
        await host.UntilAsync(r => r.ReadyInstances == 1);
        var call = host.Client.TryInferIntoAsync(1, 5, Patient, source.Token).AsTask();
        await entered.WaitAsync();
        provider.OnLaunch = _ => new InvalidOperationException("no more machines");
        provider.Change(provider.Machines.Single().Id, InstanceState.Terminated);
        await host.UntilAsync(r => r.ReadyInstances == 0 && r.Waiting == 1);
        source.Cancel();
        // The run may write there still.
        Assert.False(call.IsCompleted);
        go.SetResult();
        Assert.Equal(InferenceStatus.Cancelled, (await Soon(call)).Status);
        await host.UntilAsync(r => r.Waiting == 0);
    }
}
