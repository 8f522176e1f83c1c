namespace MArk.Serving.Profiling;

/// <summary>Warms an instance up at every batch size, and measures how long it takes for batches of 1, 2, 4, ... up to the largest.</summary>
public static class BatchProfiler
{
    // A batch that follows one of another size tells what the caches still hold of that one: the first of a row are not measured.
    private const int Settling = 2;
    private const int Row = 6;
    private const int MaxTurns = 12;
    // A machine that is shared may be slow for a tenth of a second: so long a row of one size must not tell of it.
    private static readonly TimeSpan TimePerSize = TimeSpan.FromMilliseconds(100);

    // An instance is not kept from serving for long by sizes that may never come up.
    private static readonly TimeSpan TimeForSizesBetween = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Warms up, and runs batches of a sample. Each size gets at least eight measured runs, and more while they take little time; the median stands for the mean,
    /// since what else ran on the machine meanwhile is not the model's. The sizes take turns of some batches each, up and down, so that all meet the machine as fast as it is, with the caches as their own batches leave them.
    /// </summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="runner">The instance, as its only user.</param>
    /// <param name="sample">An input that stands for all.</param>
    /// <param name="maxBatchSize">The largest batch; at least 1.</param>
    /// <param name="time">The clock to measure by.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The profile.</returns>
    /// <exception cref="ServingException">The model fails on the sample; says at which batch size.</exception>
    /// <exception cref="InstanceFailedException">The instance is at fault, and not the model.</exception>
    public static async Task<LatencyProfile> MeasureAsync<TIn, TOut>(
        IBatchRunner<TIn, TOut> runner, TIn sample, int maxBatchSize, TimeProvider time, CancellationToken cancellationToken)
    {
        var sizes = LatencyProfile.ProbeSizes(maxBatchSize);
        await WarmUpAsync(runner, sample, maxBatchSize, time, cancellationToken).ConfigureAwait(false);
        var durations = Array.ConvertAll(sizes, _ => new List<TimeSpan>(MaxTurns * (Row - Settling)));
        var sink = new DiscardingSink<TOut>();
        var inputs = new TIn[maxBatchSize];
        Array.Fill(inputs, sample);
        var begun = time.GetTimestamp();
        for (var turn = 1; turn <= MaxTurns; turn++)
        {
            var goesUp = turn % 2 == 1;
            for (var place = 0; place < sizes.Length; place++)
            {
                var i = goesUp ? place : sizes.Length - 1 - place;
                for (var run = 0; run < Row; run++)
                {
                    var start = time.GetTimestamp();
                    await RunAsync(runner, new RequestBatch<TIn>(inputs.AsMemory(0, sizes[i])), sink, cancellationToken).ConfigureAwait(false);
                    if (run >= Settling)
                    {
                        durations[i].Add(time.GetElapsedTime(start));
                    }
                }
            }
            if (!goesUp && time.GetElapsedTime(begun) > sizes.Length * TimePerSize)
            {
                break;
            }
        }
        return new LatencyProfile([.. sizes.Zip(durations, Summarize)]);
    }

    /// <summary>
    /// Runs a batch of a sample at every size, so that no request meets a cold instance: what a runtime prepares, it prepares for the shape of a batch. First the sizes that are measured, then those between
    /// them, the smallest first; where these take more than five seconds, the rest of them is left.
    /// </summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="runner">The instance, as its only user.</param>
    /// <param name="sample">An input that stands for all.</param>
    /// <param name="maxBatchSize">The largest batch; at least 1.</param>
    /// <param name="time">The clock to go by.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>When the instance is warm.</returns>
    /// <exception cref="ServingException">The model fails on the sample; says at which batch size.</exception>
    /// <exception cref="InstanceFailedException">The instance is at fault, and not the model.</exception>
    public static async Task WarmUpAsync<TIn, TOut>(
        IBatchRunner<TIn, TOut> runner, TIn sample, int maxBatchSize, TimeProvider time, CancellationToken cancellationToken)
    {
        var sink = new DiscardingSink<TOut>();
        var inputs = new TIn[maxBatchSize];
        Array.Fill(inputs, sample);
        var measured = LatencyProfile.ProbeSizes(maxBatchSize);
        foreach (var size in measured)
        {
            await RunAsync(runner, new RequestBatch<TIn>(inputs.AsMemory(0, size)), sink, cancellationToken).ConfigureAwait(false);
        }
        var begun = time.GetTimestamp();
        foreach (var size in Enumerable.Range(1, maxBatchSize).Except(measured))
        {
            if (time.GetElapsedTime(begun) > TimeForSizesBetween)
            {
                return;
            }
            await RunAsync(runner, new RequestBatch<TIn>(inputs.AsMemory(0, size)), sink, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async ValueTask RunAsync<TIn, TOut>(IBatchRunner<TIn, TOut> runner, RequestBatch<TIn> batch, DiscardingSink<TOut> sink, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            await runner.RunAsync(batch, sink, cancellationToken).ConfigureAwait(false);
        }
        // An instance that is at fault itself says nothing of the model.
        catch (Exception e) when (e is not (OperationCanceledException or InstanceFailedException))
        {
            throw new ServingException($"The model failed its warm-up at batch size {batch.Count}: {e.Message}", e);
        }
        if (sink.Error is { } error)
        {
            throw new ServingException($"The model failed its warm-up at batch size {batch.Count}: {error.Message}", error);
        }
    }

    private static LatencyPoint Summarize(int size, List<TimeSpan> durations)
    {
        durations.Sort();
        var median = Max((durations[durations.Count / 2] + durations[(durations.Count - 1) / 2]) / 2, new TimeSpan(1));
        var high = durations[(int)Math.Ceiling(LatencyProfile.HighQuantile * durations.Count) - 1];
        return new LatencyPoint(size, median, Max(high, median));
    }

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;

    private sealed class DiscardingSink<T> : IBatchSink<T>
    {
        public Exception? Error { get; private set; }

        public void SetResult(int index, T result)
        {
            // A warm-up's answers are nobody's.
        }

        public void SetError(int index, Exception error) => Error = error;

        public bool TryGetDestination(int index, out T destination)
        {
            destination = default!;
            return false;
        }
    }
}
