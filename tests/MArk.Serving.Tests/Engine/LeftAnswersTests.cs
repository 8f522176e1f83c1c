using MArk.Serving.DependencyInjection;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.Tests.Engine;

/// <summary>Long batches whose runner can leave its outputs: the answers are read while the next batch runs, as far as there is memory for them.</summary>
public sealed class LeftAnswersTests
{
    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10) };
    private static readonly TimeSpan GivenUp = TimeSpan.FromMinutes(1);

    /// <summary>Doubles one input at a time, and knows how many outputs it has memory for.</summary>
    private sealed class Doubler : IBatchRunnerFactory<int, int>, IDeferringBatchRunner<int, int>
    {
        private readonly SteppingClock _clock;
        private int _held;

        public Doubler(SteppingClock clock) => _clock = clock;

        public Func<int, bool> IsLong { get; init; } = _ => true;

        public Action<int> OnRun { get; init; } = _ => { };

        public Action<int> OnAnswer { get; init; } = _ => { };

        public int MostHeld { get; private set; }

        public bool BlocksThread => true;

        public int MaxBatchSize => 1;

        public bool CanDefer => true;

        public ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(this);

        public IBatchOutputs<int> Run(RequestBatch<int> batch, CancellationToken cancellationToken)
        {
            MostHeld = Math.Max(MostHeld, Interlocked.Increment(ref _held));
            if (IsLong(batch[0]))
            {
                _clock.Step(TimeSpan.FromMilliseconds(1));
            }
            OnRun(batch[0]);
            return new Outputs(this, batch[0]);
        }

        public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            Run(batch, cancellationToken).Answer(sink);
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private sealed class Outputs(Doubler doubler, int input) : IBatchOutputs<int>
        {
            public void Answer(IBatchSink<int> sink)
            {
                try
                {
                    doubler.OnAnswer(input);
                    sink.SetResult(0, 2 * input);
                }
                finally
                {
                    Interlocked.Decrement(ref doubler._held);
                }
            }
        }
    }

    private static Task<ServingHost> StartAsync(SteppingClock clock, Doubler doubler) => ServingHost.StartAsync(m =>
    {
        Assert.SkipUnless(Environment.ProcessorCount > 1, "On one processor nothing is gained by it, and no runner is asked to leave its outputs.");
        m.Services.AddSingleton<TimeProvider>(clock);
        m.UseRunner(_ => doubler);
    });

    [Fact]
    public async Task TheNextBatchRunsWhileTheAnswersOfTheOneBeforeAreRead()
    {
        var clock = new SteppingClock();
        using var secondRuns = new ManualResetEventSlim();
        var wasRunning = false;
        var doubler = new Doubler(clock)
        {
            OnRun = input =>
            {
                if (input == 2)
                {
                    secondRuns.Set();
                }
            },
            OnAnswer = input => wasRunning |= input == 1 && secondRuns.Wait(GivenUp),
        };
        await using var host = await StartAsync(clock, doubler);
        var first = host.Client.InferAsync(1, Patient).AsTask();
        Assert.Equal(4, await host.Client.InferAsync(2, Patient).AsTask().WaitAsync(2 * GivenUp));
        Assert.Equal(2, await first.WaitAsync(GivenUp));
        Assert.True(wasRunning);
    }

    [Fact]
    public async Task WhileAnswersAreStillToBeReadThoseOfOtherBatchesAreReadByTheThreadThatRanThem()
    {
        var clock = new SteppingClock();
        using var reads = new SemaphoreSlim(0);
        using var go = new ManualResetEventSlim();
        var doubler = new Doubler(clock)
        {
            OnAnswer = input =>
            {
                if (input == -1)
                {
                    reads.Release();
                    go.Wait();
                }
            },
        };
        await using var host = await StartAsync(clock, doubler);
        var kept = host.Client.InferAsync(-1, Patient).AsTask();
        Assert.True(await reads.WaitAsync(GivenUp));
        for (var i = 1; i <= 100; i++)
        {
            Assert.Equal(2 * i, await host.Client.InferAsync(i, Patient).AsTask().WaitAsync(GivenUp));
        }
        Assert.False(kept.IsCompleted);
        go.Set();
        Assert.Equal(-2, await kept.WaitAsync(GivenUp));
        await Task.WhenAll(Enumerable.Range(1, 1000).Select(async i => Assert.Equal(2 * i, await host.Client.InferAsync(i, Patient).ConfigureAwait(false)))).WaitAsync(GivenUp);
        // Those of one batch, and of one that runs.
        Assert.Equal(2, doubler.MostHeld);
        await host.UntilAsync(r => r.Succeeded == 1101);
        Assert.Empty(host.Log.Errors);
    }

    /// <summary>While batches are short, one may wait behind the one that runs: with one whose answers are left that would be one more than there is memory for.</summary>
    [Fact]
    public async Task WhereBatchesAreLongAndShortByTurnsNoMoreAreHeldThanThereIsMemoryFor()
    {
        var clock = new SteppingClock();
        var runs = 0;
        var doubler = new Doubler(clock) { IsLong = _ => Interlocked.Increment(ref runs) % 12 < 4 };
        await using var host = await StartAsync(clock, doubler);
        await Task.WhenAll(Enumerable.Range(0, 32).Select(async caller =>
        {
            for (var i = 1; i <= 400; i++)
            {
                Assert.Equal(2 * i, await host.Client.InferAsync(i, Patient).ConfigureAwait(false));
                if ((caller + i) % 5 == 0)
                {
                    Thread.SpinWait(500);
                }
            }
        })).WaitAsync(GivenUp);
        Assert.Equal(2, doubler.MostHeld);
        Assert.Equal(0, host.Monitor.GetReport().ExtraRuns);
        Assert.Empty(host.Log.Errors);
    }

    [Fact]
    public async Task AnswersThatCannotBeReadFailTheirOwnRequests()
    {
        var clock = new SteppingClock();
        var doubler = new Doubler(clock) { OnAnswer = input => _ = input % 10 == 0 ? throw new InvalidOperationException("unreadable") : input };
        await using var host = await StartAsync(clock, doubler);
        await Task.WhenAll(Enumerable.Range(1, 200).Select(async i =>
        {
            var result = await host.Client.TryInferAsync(i, Patient).ConfigureAwait(false);
            Assert.Equal(i % 10 == 0 ? InferenceStatus.Failed : InferenceStatus.Succeeded, result.Status);
        })).WaitAsync(GivenUp);
        await host.UntilAsync(r => r.Failed == 20);
    }
}
