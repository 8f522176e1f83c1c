namespace MArk.Serving.Tests.Engine;

/// <summary>Issue 3, feature 9, with real instances: one with two slots has two batches under way at once, and not three.</summary>
public sealed class SlotsEngineTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private sealed class TwoSlots(bool blocksThread) : IBatchRunnerFactory<int, int>, IBatchRunner<int, int>
    {
        private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _running;
        private int _most;

        public int MaxBatchSize => 1;

        public int Slots => 2;

        public bool BlocksThread => blocksThread;

        public SemaphoreSlim Entered { get; } = new(0);

        public int Most => Volatile.Read(ref _most);

        public void Open() => _gate.TrySetResult();

        public ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(this);

        public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            var running = Interlocked.Increment(ref _running);
            for (var most = Most; running > most; most = Most)
            {
                Interlocked.CompareExchange(ref _most, running, most);
            }
            Entered.Release();
            if (!blocksThread)
            {
                return new(AnswerAsync(batch, sink));
            }
            _gate.Task.Wait(CancellationToken.None);
            Answer(batch, sink);
            return ValueTask.CompletedTask;
        }

        private async Task AnswerAsync(RequestBatch<int> batch, IBatchSink<int> sink)
        {
            await _gate.Task;
            Answer(batch, sink);
        }

        private void Answer(RequestBatch<int> batch, IBatchSink<int> sink)
        {
            Interlocked.Decrement(ref _running);
            sink.SetResult(0, 2 * batch[0]);
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ABatchEntersEachSlotBeforeAnyIsDone(bool blocksThread)
    {
        var model = new TwoSlots(blocksThread);
        await using var host = await ServingHost.StartAsync(m => m.UseRunner(_ => model).WithSlo(Minute).WithOptions(o => o.MaxBatchSize = 1));
        try
        {
            var calls = Enumerable.Range(1, 5).Select(i => host.Client.InferAsync(i).AsTask()).ToArray();
            Assert.True(await model.Entered.WaitAsync(Minute));
            Assert.True(await model.Entered.WaitAsync(Minute));
            Assert.All(calls, c => Assert.False(c.IsCompleted));
            model.Open();
            var answers = await Task.WhenAll(calls).WaitAsync(Minute);
            Assert.Equal([2, 4, 6, 8, 10], answers);
            Assert.Equal(2, model.Most);
        }
        finally
        {
            model.Open();
        }
    }
}
