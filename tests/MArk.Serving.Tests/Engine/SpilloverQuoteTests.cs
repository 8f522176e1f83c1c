using MArk.Serving.Engine;

namespace MArk.Serving.Tests.Engine;

/// <summary>Quotes that cannot be, or that do not know of everything: nothing is lost by them, and no target gets more than it takes.</summary>
public sealed class SpilloverQuoteTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    /// <summary>A target whose quote and runs are the test's.</summary>
    private sealed class Target(Func<SpilloverQuote> quote, Func<RequestBatch<int>, Task>? run = null) : ISpilloverTarget<int, int>
    {
        public SpilloverQuote GetQuote() => quote();

        public async ValueTask InferAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
        {
            await (run?.Invoke(batch) ?? Task.CompletedTask);
            sink.SetResult(0, 2 * batch[0]);
        }
    }

    private static Task<ServingHost> StartAsync(Target target, BatchFunction<int, int> run) => ServingHost.StartAsync(m => m
        .WithProfile("in-process", LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), 1)).WithSlo(Minute)
        .UseSpillover(_ => target).UseBatchFunction(run));

    private static ValueTask Double(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, 2 * batch[i]);
        }
        return ValueTask.CompletedTask;
    }

    public static TheoryData<TimeSpan, TimeSpan, int, int, string?> Quotes => new()
    {
        { TimeSpan.FromMilliseconds(1), TimeSpan.MaxValue, 10, 0, null },
        { TimeSpan.MaxValue, TimeSpan.MaxValue, 10, 10, null },
        { TimeSpan.FromMilliseconds(-1), Minute, 10, 10, "no latency is less than zero" },
        { Minute, TimeSpan.MinValue, 10, 0, "no latency is less than zero" },
        { Minute, Minute, -1, 0, "accepted are 0 and more" },
        { Minute, Minute, 1, -1, "accepted are 0 and more" },
    };

    [Theory]
    [MemberData(nameof(Quotes))]
    public async Task AQuoteOfImpossibleValuesEndsNothing(TimeSpan warm, TimeSpan cold, int free, int warmFree, string? violation)
    {
        var target = new Target(() => new SpilloverQuote
        {
            Warm = LatencyQuantiles.Constant(warm),
            Cold = LatencyQuantiles.Constant(cold),
            FreeConcurrency = free,
            WarmConcurrency = warmFree,
            ValidFor = Minute,
        });
        await using var host = await StartAsync(target, Double);
        for (var i = 1; i < 10; i++)
        {
            Assert.Equal(2 * i, await host.Client.InferAsync(i).AsTask().WaitAsync(Minute));
        }
        Assert.Equal(violation is not null, host.Log.Errors.Any(e => e is ContractViolationException && e.Message.Contains(violation!)));
    }

    [Fact]
    public async Task AQuoteDoesNotKnowOfWhatIsSpilledWhileItIsMade()
    {
        const int Limit = 2;
        var gate = new TaskCompletionSource();
        var (underWay, most, given) = (0, 0, 0);
        var isFirstDone = false;
        Action? spillAnother = null;
        var target = new Target(
            () =>
            {
                var free = Limit - Volatile.Read(ref underWay);
                if (Volatile.Read(ref isFirstDone))
                {
                    Interlocked.Exchange(ref spillAnother, null)?.Invoke();
                }
                return new SpilloverQuote
                {
                    Warm = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)),
                    Cold = LatencyQuantiles.Constant(TimeSpan.FromMilliseconds(1)),
                    FreeConcurrency = free,
                    WarmConcurrency = free,
                    ValidFor = Minute,
                };
            },
            async batch =>
            {
                var isFirst = batch[0] == 1;
                most = Math.Max(most, Interlocked.Increment(ref underWay));
                Interlocked.Increment(ref given);
                await Task.Yield();
                if (!isFirst)
                {
                    await gate.Task;
                }
                Interlocked.Decrement(ref underWay);
                Volatile.Write(ref isFirstDone, true);
            });
        var hold = new TaskCompletionSource();
        await using var host = await ServingHost.StartAsync(m => m
            .WithProfile("in-process", LatencyProfile.Linear(TimeSpan.FromSeconds(50), TimeSpan.Zero, 1)).WithSlo(Minute)
            .UseSpillover(_ => target).UseBatchFunction(async (batch, sink, token) =>
            {
                await hold.Task;
                await Double(batch, sink, token);
            }));
        // The instance is taken to be busy for longer than any of these may take.
        var options = new InferenceOptions { Timeout = TimeSpan.FromSeconds(20), WhenUnreachable = WhenUnreachable.Spill };
        var calls = new List<Task<InferenceResult<int>>> { host.Client.TryInferAsync(0).AsTask() };
        var second = new TaskCompletionSource<Task<InferenceResult<int>>>();
        spillAnother = () =>
        {
            second.SetResult(host.Client.TryInferAsync(2, options).AsTask());
            SpinWait.SpinUntil(() => Volatile.Read(ref given) == 2);
        };
        calls.Add(host.Client.TryInferAsync(1, options).AsTask());
        await host.UntilAsync(r => r.Spilled == 1);
        for (var i = 3; i < 9; i++)
        {
            var before = Volatile.Read(ref given);
            var call = host.Client.TryInferAsync(i, options).AsTask();
            calls.Add(call);
            while (!call.IsCompleted && Volatile.Read(ref given) == before)
            {
                await Task.Yield();
            }
        }
        gate.SetResult();
        hold.SetResult();
        calls.Add(await second.Task);
        await Task.WhenAll(calls).WaitAsync(Minute);
        Assert.Equal(Limit, most);
    }
}
