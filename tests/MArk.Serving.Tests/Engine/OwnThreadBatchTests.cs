using System.Diagnostics;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Tests.Diagnostics;
using Microsoft.Extensions.DependencyInjection;

namespace MArk.Serving.Tests.Engine;

/// <summary>
/// A runner with a thread of its own. Where its batches take microseconds, the thread does nothing but run them, and the engine's turn does the rest; where they take long, it makes up the next one
/// itself, and leaves only the answers to the turn, if the runner can leave them.
/// </summary>
public sealed class OwnThreadBatchTests
{
    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10) };
    private static readonly TimeSpan GivenUp = TimeSpan.FromMinutes(1);

    /// <summary>Runs on a thread of its own what a test has it run; one that defers answers when it is asked for the answers, and breaks then.</summary>
    private sealed class Runner(Action<RequestBatch<int>, IBatchSink<int>> run, bool defers, bool isLong) : IBatchRunnerFactory<int, int>, IDeferringBatchRunner<int, int>
    {
        private int _deferred;

        public SteppingClock Clock { get; } = new();

        public bool BlocksThread => true;

        public int MaxBatchSize => 8;

        public bool CanDefer => defers;

        public int Deferred => Volatile.Read(ref _deferred);

        public ValueTask<IBatchRunner<int, int>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(this);

        public ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            TakeTime();
            run(batch, sink);
            return ValueTask.CompletedTask;
        }

        public IBatchOutputs<int> Run(RequestBatch<int> batch, CancellationToken cancellationToken)
        {
            Assert.True(defers);
            Interlocked.Increment(ref _deferred);
            TakeTime();
            return new Outputs(run, batch);
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private void TakeTime()
        {
            if (isLong)
            {
                Clock.Step(TimeSpan.FromMilliseconds(1));
            }
        }
    }

    private sealed class Outputs : IBatchOutputs<int>, IBatchSink<int>
    {
        private readonly List<Action<IBatchSink<int>>> _told = [];

        public Outputs(Action<RequestBatch<int>, IBatchSink<int>> run, RequestBatch<int> batch)
        {
            try
            {
                run(batch, this);
            }
            catch (InvalidOperationException e)
            {
                _told.Add(_ => throw e);
            }
        }

        public void Answer(IBatchSink<int> sink) => _told.ForEach(tell => tell(sink));

        public void SetResult(int index, int result) => _told.Add(sink => sink.SetResult(index, result));

        public void SetResults(int first, ReadOnlySpan<int> results)
        {
            var kept = results.ToArray();
            _told.Add(sink => sink.SetResults(first, kept));
        }

        public void SetError(int index, Exception error) => _told.Add(sink => sink.SetError(index, error));

        public bool TryGetDestination(int index, out int destination)
        {
            destination = 0;
            return false;
        }
    }

    private static Task<ServingHost> StartAsync(bool defers, bool isLong, Action<RequestBatch<int>, IBatchSink<int>> run) => StartAsync(new Runner(run, defers, isLong));

    private static Task<ServingHost> StartAsync(Runner runner, string model = "test") => ServingHost.StartAsync(
        m =>
        {
            m.Services.AddSingleton<TimeProvider>(runner.Clock);
            m.UseRunner(_ => runner);
        },
        model: model);

    private static void Double(RequestBatch<int> batch, IBatchSink<int> sink) => sink.SetResults(0, [.. batch.Inputs.ToArray().Select(x => 2 * x)]);

    private static Task CallAsync(ServingHost host, int callers, int calls) => Task.WhenAll(Enumerable.Range(0, callers).Select(async caller =>
    {
        for (var i = 1; i <= calls; i++)
        {
            var input = caller * calls + i;
            Assert.Equal(2 * input, await host.Client.InferAsync(input, Patient).ConfigureAwait(false));
        }
    })).WaitAsync(GivenUp);

    [Theory]
    [InlineData(1, 3000, false, false)]
    [InlineData(64, 500, false, false)]
    [InlineData(1, 3000, true, false)]
    [InlineData(64, 500, true, false)]
    [InlineData(64, 500, false, true)]
    [InlineData(1, 3000, true, true)]
    [InlineData(64, 500, true, true)]
    public async Task EveryCallerGetsItsOwnAnswer(int callers, int calls, bool defers, bool isLong)
    {
        var runner = new Runner(Double, defers, isLong);
        await using var host = await StartAsync(runner);
        await CallAsync(host, callers, calls);
        await host.UntilAsync(r => r.Succeeded == callers * calls);
        Assert.Empty(host.Log.Errors);
        // On one processor nothing is handed over.
        Assert.Equal(defers && Environment.ProcessorCount > 1, runner.Deferred > 0);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task EachBatchHasOneSpanThatSaysWhetherItFailed(bool defers, bool isLong)
    {
        var model = $"own thread, {defers}, {isLong}";
        var failures = 0;
        using var probe = new SpanProbe(model);
        var runner = new Runner(
            (batch, sink) =>
            {
                if (batch.Inputs.ToArray().Any(x => x % 100 == 0))
                {
                    Interlocked.Increment(ref failures);
                    throw new InvalidOperationException("boom");
                }
                Double(batch, sink);
            },
            defers,
            isLong);
        await using var host = await StartAsync(runner, model);
        await Task.WhenAll(Enumerable.Range(0, 64).Select(async caller =>
        {
            for (var i = 1; i <= 100; i++)
            {
                Assert.Equal(i < 100, (await host.Client.TryInferAsync(100 * caller + i, Patient).ConfigureAwait(false)).Succeeded);
            }
        })).WaitAsync(GivenUp);
        await host.StopAsync();
        var spans = probe.Spans;
        Assert.Equal(host.Monitor.GetReport().BatchesByReason.Values.Sum(), spans.Count);
        Assert.Equal(failures, spans.Count(span => span.Status == ActivityStatusCode.Error));
        Assert.All(spans, span => Assert.Null(span.Parent));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task ACallerThatKeepsItsThreadHoldsUpNobodyElse(bool defers, bool isLong)
    {
        await using var host = await StartAsync(defers, isLong, Double);
        await CallAsync(host, 64, 100);
        using var kept = new SemaphoreSlim(0);
        using var go = new ManualResetEventSlim();
        var keeping = Task.WhenAll(Enumerable.Range(0, 3).Select(async _ =>
        {
            await host.Client.InferAsync(1, Patient).ConfigureAwait(false);
            kept.Release();
            go.Wait();
        }));
        for (var i = 0; i < 3; i++)
        {
            Assert.True(await kept.WaitAsync(GivenUp));
        }
        await CallAsync(host, 64, 100);
        Assert.False(keeping.IsCompleted);
        go.Set();
        await keeping;
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task WhatWasAnsweredStandsWhereTheRunThenBreaks(bool defers, bool isLong)
    {
        await using var host = await StartAsync(defers, isLong, (batch, sink) =>
        {
            Double(batch, sink);
            if (batch.Inputs.Contains(5))
            {
                throw new InvalidOperationException("after its answers");
            }
        });
        await CallAsync(host, 64, 100);
        await host.UntilAsync(r => r.Succeeded == 6400);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task CancellationsAndFaultsEndOnlyTheCallsTheyAreOf(bool defers, bool isLong)
    {
        await using var host = await StartAsync(defers, isLong, (batch, sink) =>
        {
            if (batch.Inputs.ToArray().Any(IsPoison))
            {
                throw new InvalidOperationException("a poison");
            }
            Double(batch, sink);
        });
        await Task.WhenAll(Enumerable.Range(0, 64).Select(CallAtRandomAsync)).WaitAsync(GivenUp);
        await CallAsync(host, callers: 1, calls: 40);

        static bool IsPoison(int input) => input % 50 == 0;

        async Task CallAtRandomAsync(int caller)
        {
            var random = new Random(caller);
            for (var i = 0; i < 200; i++)
            {
                var input = random.Next(1, 10_000);
                using var cancellation = new CancellationTokenSource();
                var call = host.Client.TryInferAsync(input, Patient, cancellation.Token);
                var isCancelled = random.Next(5) == 0;
                if (isCancelled)
                {
                    await Task.Yield();
                    await cancellation.CancelAsync().ConfigureAwait(false);
                }
                var result = await call.ConfigureAwait(false);
                if (!isCancelled || result.Status != InferenceStatus.Cancelled)
                {
                    Assert.Equal(IsPoison(input) ? InferenceStatus.Failed : InferenceStatus.Succeeded, result.Status);
                    Assert.Equal(IsPoison(input) ? 0 : 2 * input, IsPoison(input) ? 0 : result.Value);
                }
            }
        }
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task ASecondAnswerIsLoggedAndTheFirstStands(bool defers, bool isLong)
    {
        await using var host = await StartAsync(defers, isLong, (batch, sink) =>
        {
            Double(batch, sink);
            if (batch.Inputs.Contains(5))
            {
                sink.SetResults(0, new int[batch.Count]);
                sink.SetError(0, new InvalidOperationException("too late"));
            }
        });
        await CallAsync(host, 64, 100);
        Assert.Equal(2, host.Log.Errors.Count(e => e is ContractViolationException));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task WhatIsNotAnsweredFails(bool defers, bool isLong)
    {
        await using var host = await StartAsync(defers, isLong, (batch, sink) =>
        {
            if (!batch.Inputs.Contains(-1))
            {
                Double(batch, sink);
            }
        });
        await CallAsync(host, 64, 100);
        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => host.Client.TryInferAsync(-1, Patient).AsTask())).WaitAsync(GivenUp);
        Assert.All(results, r => Assert.IsType<ContractViolationException>(r.Error));
        await CallAsync(host, 64, 100);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task AStopEndsWhatWaitsBehindTheBatchThatRuns(bool defers, bool isLong)
    {
        using var entered = new SemaphoreSlim(0);
        using var go = new ManualResetEventSlim();
        await using var host = await StartAsync(defers, isLong, (batch, sink) =>
        {
            if (batch.Inputs.Contains(-1))
            {
                entered.Release();
                go.Wait();
            }
            Double(batch, sink);
        });
        await CallAsync(host, 64, 100);
        var held = host.Client.InferAsync(-1, Patient).AsTask();
        Assert.True(await entered.WaitAsync(GivenUp));
        var waiting = Enumerable.Range(1, 40).Select(i => host.Client.InferAsync(i, Patient).AsTask()).ToArray();
        var stop = host.StopAsync();
        go.Set();
        await stop.WaitAsync(GivenUp);
        Assert.Equal(-2, await held);
        Assert.Equal(Enumerable.Range(1, 40).Select(i => 2 * i), await Task.WhenAll(waiting));
    }
}
