using System.Collections.Concurrent;
using MArk.Serving.Engine;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.Tests.Engine;

/// <summary>Calls that are made in the very moment in which the engine hears that their instance is gone.</summary>
public sealed class LossRaceTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    /// <summary>A clock by which the fleet's loop is caught: it looks at the date, then at the time, where it tells the engine something.</summary>
    private sealed class CatchingClock : TimeProvider
    {
        [ThreadStatic]
        private static bool t_isCaught;

        private Action? _whenCaught;

        public void Catch(Action? whenCaught) => Volatile.Write(ref _whenCaught, whenCaught);

        public override DateTimeOffset GetUtcNow()
        {
            t_isCaught = true;
            return base.GetUtcNow();
        }

        public override long GetTimestamp()
        {
            if (t_isCaught)
            {
                t_isCaught = false;
                Volatile.Read(ref _whenCaught)?.Invoke();
            }
            return base.GetTimestamp();
        }
    }

    [Fact]
    public async Task ACallThatIsMadeWhileItsInstanceIsLostIsServedByAnother()
    {
        var provider = new ScriptedProvider();
        var clock = new CatchingClock();
        await using var host = await ServingHost.StartAsync(m =>
        {
            m.Services.AddSingleton<TimeProvider>(clock);
            m.WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1)).WithSlo(Minute)
                .UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1))
                .WithOptions(o =>
                {
                    o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
                    o.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
                    o.Fleet.Horizon = 3;
                })
                .UseBatchFunction((batch, sink, _) =>
                {
                    for (var i = 0; i < batch.Count; i++)
                    {
                        sink.SetResult(i, 2 * batch[i]);
                    }
                    return ValueTask.CompletedTask;
                });
        });
        var client = host.Client;
        for (var round = 0; round < 10; round++)
        {
            await host.UntilAsync(r => r.ReadyInstances == 1);
            var calls = new ConcurrentQueue<Task<int>>();
            clock.Catch(() =>
            {
                // On a thread of its own, as the one that is caught may hold the engine.
                var caller = new Thread(() => calls.Enqueue(client.InferAsync(21).AsTask()));
                caller.Start();
                caller.Join();
            });
            var lost = provider.Machines.Single().Id;
            provider.Change(lost, InstanceState.Terminated);
            await host.UntilAsync(r => provider.Machines is [{ } next] && next.Id != lost && r.ReadyInstances == 1);
            clock.Catch(null);
            Assert.All(await Task.WhenAll(calls).WaitAsync(Minute), answer => Assert.Equal(42, answer));
        }
        Assert.Empty(host.Log.Errors);
    }

    private sealed class Version(Func<string, BatchFunction<int, int>> run) : IBatchRunnerFactory<int, int>
    {
        public ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(new Runner(run(instance.Id)));

        private sealed class Runner(BatchFunction<int, int> run) : IBatchRunner<int, int>
        {
            public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken) => run(batch, sink, cancellationToken);

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }

    [Fact]
    public async Task WhatRunsOnTheOldVersionWhenItsMachineIsLostIsNotGivenToTheNewOneThere()
    {
        var provider = new ScriptedProvider();
        var entered = new TaskCompletionSource();
        BatchFunction<int, int> never = async (_, _, token) =>
        {
            entered.TrySetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
        };
        await using var host = await ServingHost.StartAsync(m => m
            .UseRunner(_ => new Version(_ => never))
            .WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1)).WithSlo(Minute)
            .UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1))
            .WithOptions(o =>
            {
                // The one that is lost, and no other.
                o.MaxRedeliveries = 1;
                o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
                o.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
                o.Fleet.Horizon = 3;
            }));
        var call = host.Client.InferAsync(21).AsTask();
        await entered.Task;
        var lost = provider.Machines.Single().Id;
        var reload = host.Reloader.ReloadAsync(new Version(machine => (batch, sink, token) =>
        {
            if (machine == lost && batch[0] == 21)
            {
                return never(batch, sink, token);
            }
            sink.SetResult(0, 2 * batch[0]);
            return ValueTask.CompletedTask;
        }));
        // Served by the new version: it is there, beside the old one, which runs still.
        Assert.Equal(2, await host.Client.InferAsync(1).AsTask().WaitAsync(Minute));
        provider.Change(lost, InstanceState.Terminated);
        Assert.Equal(42, await call.WaitAsync(Minute));
        await reload.WaitAsync(Minute);
        Assert.Empty(host.Log.Errors);
    }

    /// <summary>Leaves its outputs, on a thread of its own; that thread is held right after it has left some, when the test says so.</summary>
    private sealed class DeferringRunner(DeferringModel model) : IDeferringBatchRunner<int, int>
    {
        public bool BlocksThread => true;

        public bool CanDefer => true;

        public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            sink.SetResult(0, 2 * batch[0]);
            return ValueTask.CompletedTask;
        }

        public IBatchOutputs<int> Run(RequestBatch<int> batch, CancellationToken cancellationToken)
        {
            var isHeld = Interlocked.CompareExchange(ref model.Holds, 2, 1) == 1;
            if (isHeld)
            {
                InterruptingClock.InterruptThisThread(() =>
                {
                    model.IsHeld.SetResult();
                    model.Go.Wait();
                });
            }
            return new Outputs(model, 2 * batch[0], isHeld);
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private sealed class Outputs(DeferringModel model, int result, bool isHeld) : IBatchOutputs<int>
        {
            public void Answer(IBatchSink<int> sink)
            {
                if (isHeld)
                {
                    Interlocked.Increment(ref model.Answered);
                    model.IsAnswered.TrySetResult();
                }
                sink.SetResult(0, result);
            }
        }
    }

    private sealed class DeferringModel : IBatchRunnerFactory<int, int>
    {
        public int Holds;       // 1 where the next outputs are to be held, 2 where some are
        public int Answered;

        public TaskCompletionSource IsHeld { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ManualResetEventSlim Go { get; } = new();

        public TaskCompletionSource IsAnswered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(new DeferringRunner(this));
    }

    [Fact]
    public async Task OutputsThatAreStillToBeReadWhenTheirInstanceIsLostAreReadByTheirOwnThreadAndByNoOther()
    {
        Assert.SkipUnless(Environment.ProcessorCount > 1, "On one processor no runner is asked to leave its outputs.");
        var provider = new ScriptedProvider();
        var model = new DeferringModel { Holds = 1 };
        await using var host = await ServingHost.StartAsync(m =>
        {
            m.Services.AddSingleton<TimeProvider>(new InterruptingClock());
            m.UseRunner(_ => model)
                .WithProfile("o", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1)).WithSlo(Minute)
                .UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1))
                .WithOptions(o =>
                {
                    o.MaxBatchSize = 1;
                    o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
                    o.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
                    o.Fleet.Horizon = 3;
                });
        });
        await host.UntilAsync(r => r.ReadyInstances == 1);
        var call = host.Client.InferAsync(21).AsTask();
        await model.IsHeld.Task.WaitAsync(Minute);
        var lost = provider.Machines.Single().Id;
        provider.Change(lost, InstanceState.Terminated);
        await host.UntilAsync(r => provider.Machines is [{ } next] && next.Id != lost && r.ReadyInstances == 1);
        Assert.Equal(42, await call.WaitAsync(Minute));
        Assert.Equal(0, Volatile.Read(ref model.Answered));
        model.Go.Set();
        await model.IsAnswered.Task.WaitAsync(Minute);
        await host.StopAsync();
        Assert.Equal(1, Volatile.Read(ref model.Answered));
        Assert.Empty(host.Log.Errors);
    }
}
