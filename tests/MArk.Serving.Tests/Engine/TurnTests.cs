using MArk.Serving.Batching;
using MArk.Serving.DependencyInjection;

namespace MArk.Serving.Tests.Engine;

/// <summary>Callers and short batches share a thread while both are quick; whoever keeps that thread keeps nobody else.</summary>
public sealed class TurnTests
{
    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10) };
    private static readonly TimeSpan GivenUp = TimeSpan.FromMinutes(1);

    /// <summary>Doubles at once; the input 0 keeps its thread until it is let go.</summary>
    private sealed class KeepingDoubler : IDisposable
    {
        private readonly ManualResetEventSlim _go = new();

        public SemaphoreSlim Kept { get; } = new(0);

        public void LetGo() => _go.Set();

        public void Keep()
        {
            Kept.Release();
            _go.Wait();
        }

        public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            for (var i = 0; i < batch.Count; i++)
            {
                if (batch.Inputs[i] == 0)
                {
                    Keep();
                }
                sink.SetResult(i, 2 * batch.Inputs[i]);
            }
            return ValueTask.CompletedTask;
        }

        public void Dispose()
        {
            _go.Set();
            Kept.Dispose();
        }
    }

    private sealed class OnItsOwnThread(KeepingDoubler doubler) : IBatchRunnerFactory<int, int>, IBatchRunner<int, int>
    {
        public bool BlocksThread => true;

        public int MaxBatchSize => 8;

        public ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(this);

        public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken) => doubler.RunAsync(batch, sink, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    /// <summary>Many calls, a few at a time, so that the engine knows batches and callers for short.</summary>
    private static Task GrowUsedToItAsync(ServingHost host) => Task.WhenAll(Enumerable.Range(0, 8).Select(async caller =>
    {
        for (var i = 1; i <= 500; i++)
        {
            Assert.Equal(2 * i, await host.Client.InferAsync(i, Patient).ConfigureAwait(false));
        }
    }));

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task ACallerThatKeepsItsThreadHoldsUpNobodyElse(bool used, bool batchesHaveAThread)
    {
        using var doubler = new KeepingDoubler();
        await using var host = await ServingHost.StartAsync(m => _ = batchesHaveAThread ? m.UseRunner(_ => new OnItsOwnThread(doubler)) : m.UseBatchFunction(doubler.RunAsync));
        if (used)
        {
            await GrowUsedToItAsync(host);
        }
        // Not on this thread, which goes on as the caller where the answer is quicker than the wait for it.
        var keeping = Task.Run(KeepAsync);
        Assert.True(await doubler.Kept.WaitAsync(GivenUp));
        await GrowUsedToItAsync(host).WaitAsync(GivenUp);
        Assert.False(keeping.IsCompleted);
        doubler.LetGo();
        await keeping;

        async Task KeepAsync()
        {
            await host.Client.InferAsync(1, Patient).ConfigureAwait(false);
            doubler.Keep();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ABatchThatKeepsItsThreadHoldsUpNoOtherInstance(bool used)
    {
        using var doubler = new KeepingDoubler();
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction(doubler.RunAsync, concurrency: 2).UseBatchPolicy(_ => new NoBatchingPolicy()));
        if (used)
        {
            await GrowUsedToItAsync(host);
        }
        var kept = host.Client.InferAsync(0, Patient).AsTask();
        await doubler.Kept.WaitAsync();
        await GrowUsedToItAsync(host).WaitAsync(GivenUp);
        Assert.False(kept.IsCompleted);
        doubler.LetGo();
        Assert.Equal(0, await kept);
    }

    [Fact]
    public async Task WhereBatchesHaveAThreadTheirCallersHaveOneTooUntilTheModelEnds()
    {
        using var doubler = new KeepingDoubler();
        Thread? ofCallers = null;
        await using (var host = await ServingHost.StartAsync(m => m.UseRunner(_ => new OnItsOwnThread(doubler))))
        {
            for (var i = 1; i <= 200; i++)
            {
                await Task.Run(() => CallAsync(host, i)).WaitAsync(GivenUp);
            }
            Assert.NotNull(ofCallers);
        }
        Assert.True(ofCallers.Join(GivenUp));

        async Task CallAsync(ServingHost host, int input)
        {
            await host.Client.InferAsync(input, Patient).ConfigureAwait(false);
            ofCallers = Thread.CurrentThread is { Name: "m's callers" } thread ? thread : ofCallers;
        }
    }

    [Fact]
    public async Task CallersThatAreSlowAllGoOn()
    {
        await using var host = await ServingHost.StartAsync(m => m.UseBatchFunction((batch, sink, _) =>
        {
            sink.SetResults(0, batch.Inputs);
            return ValueTask.CompletedTask;
        }));
        // More than a turn lets go on while they are slow, asking again at once; and then nobody comes who would find what was left behind.
        for (var wave = 0; wave < 200; wave++)
        {
            await Task.WhenAll(Enumerable.Range(0, 96).Select(CallAsync)).WaitAsync(GivenUp);
        }

        async Task CallAsync(int input)
        {
            for (var i = 0; i < 4; i++)
            {
                Assert.Equal(input, await host.Client.InferAsync(input, Patient).ConfigureAwait(false));
                Thread.SpinWait(1000);
            }
        }
    }
}
