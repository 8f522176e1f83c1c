using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.Tests.Engine;

/// <summary>A version of a model that multiplies; counts its runners, and runs wait where the test says so.</summary>
internal sealed class VersionedModel(int factor) : IBatchRunnerFactory<int, int>
{
    public const int Sample = 1_000_000;

    private int _loaded;
    private bool _isInitialized;

    public int Factor => factor;

    public int Loaded => Volatile.Read(ref _loaded);

    public ConcurrentQueue<string> ConnectedTo { get; } = new();

    public Exception? FailsToInitialize { get; init; }

    public Exception? FailsWarmUp { get; init; }

    public Exception? FailsToEnd { get; init; }

    public Exception? Refuses { get; init; }

    public Func<int, bool> TakesDestination { get; init; } = static _ => true;

    public long Shape { get; init; }

    public Func<RequestBatch<int>, Task>? Before { get; set; }

    public Func<Task>? WhileConnecting { get; set; }

    public bool IsInitialized => Volatile.Read(ref _isInitialized);

    public ValueTask InitializeAsync(CancellationToken cancellationToken)
    {
        Volatile.Write(ref _isInitialized, true);
        return FailsToInitialize is null ? ValueTask.CompletedTask : ValueTask.FromException(FailsToInitialize);
    }

    public RequestTraits Admit(int input) => Refuses is null ? RequestTraits.Default with { ShapeKey = Shape } : throw Refuses;

    public void AdmitDestination(int input, int destination) => Assert.True(TakesDestination(destination));

    public bool TryCreateSample([MaybeNullWhen(false)] out int sample)
    {
        sample = Sample;
        return true;
    }

    public async ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken)
    {
        if (WhileConnecting is { } wait)
        {
            await wait();
        }
        Interlocked.Increment(ref _loaded);
        ConnectedTo.Enqueue(instance.Id);
        return new Runner(this);
    }

    private sealed class Runner(VersionedModel model) : IBatchRunner<int, int>
    {
        private int _isDisposed;

        public int MaxBatchSize => 8;

        public async ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            Assert.Equal(0, Volatile.Read(ref _isDisposed));
            if (batch[0] == Sample)
            {
                if (model.FailsWarmUp is { } error)
                {
                    throw error;
                }
            }
            else if (model.Before is { } before)
            {
                await before(batch);
            }
            for (var i = 0; i < batch.Count; i++)
            {
                sink.SetResult(i, model.Factor * batch[i]);
            }
            Assert.Equal(0, Volatile.Read(ref _isDisposed));
        }

        public ValueTask DisposeAsync()
        {
            Assert.Equal(0, Interlocked.Exchange(ref _isDisposed, 1));
            Interlocked.Decrement(ref model._loaded);
            return model.FailsToEnd is { } error ? ValueTask.FromException(error) : ValueTask.CompletedTask;
        }
    }
}
