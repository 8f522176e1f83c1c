using MArk.Serving.Batching;
using MArk.Serving.Engine;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.Tests.Engine;

/// <summary>A batch policy that cannot be made keeps its own instance from serving, and nothing else.</summary>
public sealed class PolicyFactoryTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly LatencyProfile OneAtATime = LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1);

    private sealed class Model : IBatchRunnerFactory<int, int>
    {
        private int _loaded;

        public int Loaded => Volatile.Read(ref _loaded);

        public ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _loaded);
            return new(new Runner(this));
        }

        private sealed class Runner(Model model) : IBatchRunner<int, int>
        {
            public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
            {
                sink.SetResult(0, 2 * batch[0]);
                return ValueTask.CompletedTask;
            }

            public ValueTask DisposeAsync()
            {
                Interlocked.Decrement(ref model._loaded);
                return ValueTask.CompletedTask;
            }
        }
    }

    [Theory]
    [InlineData(typeof(InvalidOperationException))]
    [InlineData(typeof(ContractViolationException))]
    public async Task WhatWasDecidedBesideAPolicyThatCannotBeMadeIsCarriedOut(Type error)
    {
        var model = new Model();
        var isAsked = 0;
        var call = new TaskCompletionSource<Task<int>>();
        Action? ask = null;
        await using var host = await ServingHost.StartAsync(m =>
        {
            m.Services.AddSingleton<TimeProvider>(new InterruptingClock());
            m.UseRunner(_ => model).WithProfile("a", OneAtATime).WithProfile("b", OneAtATime).WithSlo(Minute).UsePlanner(_ => new StaticPlanner(1))
                .UseInstanceProvider(_ => new ScriptedProvider(new InstanceOffering { Name = "a", PricePerHour = 1 }, new InstanceOffering { Name = "b", PricePerHour = 1 }))
                .UseBatchPolicy(settings =>
                {
                    if (settings.OfferingName == "a")
                    {
                        return new NoBatchingPolicy();
                    }
                    ask!();
                    return error == typeof(InvalidOperationException) ? throw new InvalidOperationException("no policy") : null!;
                });
        });
        ask = () =>
        {
            if (Interlocked.Exchange(ref isAsked, 1) == 0)
            {
                // On a thread of its own, as this one may hold the engine.
                var caller = new Thread(() => call.SetResult(host.Client.InferAsync(21).AsTask()));
                caller.Start();
                caller.Join();
            }
        };
        await host.UntilAsync(r => r.ReadyInstances == 1);
        var machine = new InstanceDescriptor { Id = "i-b", LaunchId = "l-b", OfferingName = "b", State = InstanceState.Running, Threads = 1 };
        InterruptingClock.InterruptThisThread(ask);
        await Assert.ThrowsAsync(error, () => ((IInstancePool)host.Engine).ConnectAsync(machine, offering: 1, CancellationToken.None));
        Assert.Equal(42, await (await call.Task).WaitAsync(Minute));
        Assert.Equal(2, await host.Client.InferAsync(1).AsTask().WaitAsync(Minute));
        Assert.Equal(1, model.Loaded);
        Assert.Empty(host.Log.Errors);
    }

    [Fact]
    public async Task NoPolicyFailsTheStartByName()
    {
        var model = new Model();
        var error = await Assert.ThrowsAsync<ContractViolationException>(() => ServingHost.StartAsync(m => m.UseRunner(_ => model).UseBatchPolicy(_ => null!)));
        Assert.Contains("no policy for offering 'in-process' of model 'm'", error.Message);
        Assert.Equal(0, model.Loaded);
    }
}
