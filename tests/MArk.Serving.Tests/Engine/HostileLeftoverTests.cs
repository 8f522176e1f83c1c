using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Engine;

/// <summary>What must not be left behind: runners of machines and hosts that are gone, and calls whose target names an impossible price.</summary>
public sealed class HostileLeftoverTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly LatencyProfile OneAtATime = LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1);

    private static void Quick(Configuration.ModelOptions options)
    {
        options.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
        options.Fleet.PlanInterval = TimeSpan.FromMilliseconds(20);
        options.Fleet.Horizon = 3;
        options.Fleet.MinInstances = 0;
    }

    private sealed class Runner(Func<CancellationToken, Task> run) : IBatchRunner<int, int>
    {
        public TaskCompletionSource Disposed { get; } = new();

        public async ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            await run(cancellationToken);
            for (var i = 0; i < batch.Count; i++)
            {
                sink.SetResult(i, 2 * batch[i]);
            }
        }

        public ValueTask DisposeAsync()
        {
            Disposed.TrySetResult();
            return ValueTask.CompletedTask;
        }
    }

    private sealed class Factory(Func<Task<IBatchRunner<int, int>>> connect) : IBatchRunnerFactory<int, int>
    {
        public async ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => await connect();
    }

    [Fact]
    public async Task ARunnerThatIsConnectedAfterTheHostIsGoneIsDisposedOf()
    {
        var runner = new Runner(_ => Task.CompletedTask);
        var entered = new TaskCompletionSource();
        var gate = new TaskCompletionSource();
        var host = await ServingHost.StartAsync(m => m
            .UseRunner(_ => new Factory(async () =>
            {
                entered.SetResult();
                await gate.Task;
                return runner;
            }))
            .WithProfile("o", OneAtATime).UseInstanceProvider(_ => new ScriptedProvider()).UsePlanner(_ => new StaticPlanner(1)).WithOptions(Quick)
            .WithOptions(o => o.DrainTimeout = TimeSpan.Zero));
        await entered.Task;
        var call = host.Client.TryInferAsync(1, new InferenceOptions { WhenUnreachable = WhenUnreachable.ServeLate }).AsTask();
        await host.DisposeAsync();
        Assert.Equal(RejectionReason.Draining, (await call).RejectionReason);
        gate.SetResult();
        await runner.Disposed.Task.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task ARunnerWhoseTokenCallbackThrowsIsDisposedOfWhenItsMachineIsLost()
    {
        var provider = new ScriptedProvider();
        var runners = new List<Runner>();
        var entered = new TaskCompletionSource();
        await using var host = await ServingHost.StartAsync(m => m
            .UseRunner(_ => new Factory(() =>
            {
                var isFirst = runners.Count == 0;
                runners.Add(new Runner(async token =>
                {
                    if (isFirst)
                    {
                        token.Register(() => throw new InvalidOperationException("callback"));
                        entered.SetResult();
                        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
                    }
                }));
                return Task.FromResult<IBatchRunner<int, int>>(runners[^1]);
            }))
            .WithProfile("o", OneAtATime).WithSlo(Minute).UseInstanceProvider(_ => provider).UsePlanner(_ => new StaticPlanner(1)).WithOptions(Quick));
        await host.UntilAsync(r => r.ReadyInstances == 1);
        var call = host.Client.InferAsync(21).AsTask();
        await entered.Task;
        provider.Change(provider.Machines.Single().Id, InstanceState.Terminated);
        Assert.Equal(42, await call.WaitAsync(Minute));
        await runners[0].Disposed.Task.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task ARequestWhoseTargetsPriceIsImpossibleIsNotLost()
    {
        var host = await ServingHost.StartAsync(m => m
            .UseRunner(_ => new Factory(() => Task.FromResult<IBatchRunner<int, int>>(new Runner(_ => Task.CompletedTask))))
            .WithProfile("in-process", LatencyProfile.Linear(Minute, Minute, 1)).WithOptions(o => o.DrainTimeout = TimeSpan.Zero)
            .UseSpillover(
                (batch, sink, _) =>
                {
                    sink.SetResult(0, 2 * batch[0]);
                    return ValueTask.CompletedTask;
                },
                () => new SpilloverQuote
                {
                    Warm = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)),
                    Cold = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)),
                    FreeConcurrency = 1,
                    PricePerCall = decimal.MaxValue,
                    PricePerRequest = decimal.MaxValue,
                    ValidFor = Minute,
                }));
        var result = await Record.ExceptionAsync(() => host.Client.TryInferAsync(1).AsTask().WaitAsync(TimeSpan.FromSeconds(10)));
        await host.DisposeAsync();
        Assert.Null(result);
    }

    [Fact]
    public async Task AFleetIsServedByThoughItsSpilloverTargetHasNoQuote()
    {
        await using var host = await ServingHost.StartAsync(m => m
            .UseRunner(_ => new Factory(() => Task.FromResult<IBatchRunner<int, int>>(new Runner(_ => Task.CompletedTask))))
            .WithProfile("o", OneAtATime).WithSlo(Minute).UseInstanceProvider(_ => new ScriptedProvider()).UsePlanner(_ => new StaticPlanner(1))
            .UseSpillover((_, _, _) => ValueTask.CompletedTask, () => throw new InvalidOperationException("no price")));
        Assert.Equal(2, await host.Client.InferAsync(1));
        Assert.Contains(host.Log.Errors, e => e is ContractViolationException && e.Message.Contains("threw from GetQuote"));
    }

    [Fact]
    public async Task ARunnerThatIsConnectedByAReloadAfterTheHostIsGoneIsDisposedOf()
    {
        var runner = new Runner(_ => Task.CompletedTask);
        var entered = new TaskCompletionSource();
        var gate = new TaskCompletionSource();
        var host = await ServingHost.StartAsync(m => m.WithSlo(Minute).UseRunner(_ => new Factory(() => Task.FromResult<IBatchRunner<int, int>>(new Runner(_ => Task.CompletedTask)))));
        var reload = host.Reloader.ReloadAsync(new Factory(async () =>
        {
            entered.SetResult();
            await gate.Task;
            return runner;
        }));
        await entered.Task;
        await host.DisposeAsync();
        gate.SetResult();
        await Assert.ThrowsAsync<ModelReloadException>(() => reload);
        await runner.Disposed.Task.WaitAsync(TimeSpan.FromSeconds(10));
    }
}
