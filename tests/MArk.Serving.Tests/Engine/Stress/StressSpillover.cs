namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>A spillover target that answers, fails, hangs until it is cancelled, and cannot always say what it would do.</summary>
internal sealed class StressSpillover(StressWorld world) : ISpilloverTarget<StressCall, Reply>
{
    private readonly StressMachine _nowhere = new(world.Ledger, "the spillover target");
    private int _quotes;
    private int _runs;
    private int _freeConcurrency = 4;

    public void ChangeQuote(Random random) => Volatile.Write(ref _freeConcurrency, random.Next(9));

    public SpilloverQuote GetQuote()
    {
        var quote = Interlocked.Increment(ref _quotes);
        var random = new Random(unchecked(world.Settings.Seed * 17 + quote));
        // At the start there must be one.
        if (quote > 4 && random.Next(50) == 0)
        {
            throw new StressFault("no quote");
        }
        var warm = LatencyQuantiles.Constant(TimeSpan.FromMicroseconds(random.Next(1, 3000)));
        return new SpilloverQuote
        {
            Warm = warm,
            Cold = LatencyQuantiles.Constant(2 * warm.P50),
            FreeConcurrency = Volatile.Read(ref _freeConcurrency),
            WarmConcurrency = random.Next(4),
            PricePerRequest = 0.001m,
            ValidFor = TimeSpan.FromMilliseconds(random.Next(1, 20)),
        };
    }

    public async ValueTask InferAsync(RequestBatch<StressCall> batch, IBatchSink<Reply> sink, CancellationToken cancellationToken)
    {
        var random = new Random(unchecked(world.Settings.Seed * 13 + Interlocked.Increment(ref _runs)));
        var run = new StressRun(world.Ledger, _nowhere, batch, sink, isSpill: true);
        try
        {
            run.Enter(limit: 1, floor: default);
            var call = run.Calls[0];
            for (var i = random.Next(8); i > 0; i--)
            {
                await Task.Yield();
            }
            if (call.Plan == CancelPlan.WhileItRuns)
            {
                call.Cancel();
            }
            if (world.Ledger.MayGiveUp && random.Next(2) == 0)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            }
            if (call.IsPoison || random.Next(4) == 0)
            {
                throw new StressFault("not here");
            }
            run.Answer(0);
        }
        finally
        {
            run.Leave();
        }
    }
}
