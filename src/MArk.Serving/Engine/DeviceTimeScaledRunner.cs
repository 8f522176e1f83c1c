namespace MArk.Serving.Engine;

/// <summary>
/// Stands in for a slower device: a batch waits, on a timer and without using the processor, for the time that the device would take longer,
/// then the real model runs and answers. The device's time of a batch is the scale times what the model was measured to take at that size,
/// undisturbed, so that a busy laptop does not become a slower device.
/// </summary>
internal sealed class DeviceTimeScaledRunner<TIn, TOut>(IBatchRunner<TIn, TOut> inner, LatencyProfile device, double scale, TimeProvider time) : IBatchRunner<TIn, TOut>
{
    private static readonly TimeSpan Resolution = TimeSpan.FromMilliseconds(0.5);

    public int MaxBatchSize => inner.MaxBatchSize;

    public int Slots => inner.Slots;

    // The inner run is short against the device's time, and the wait must not hold a thread.
    public bool BlocksThread => false;

    public async ValueTask RunAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        var deviceTime = device.Mean(batch.Count);
        await WaitUntilAsync(start, deviceTime - deviceTime / scale, cancellationToken).ConfigureAwait(false);
        await inner.RunAsync(batch, sink, cancellationToken).ConfigureAwait(false);
        // Where the model was quicker than measured, the instance stays busy all the same.
        await WaitUntilAsync(start, deviceTime, cancellationToken).ConfigureAwait(false);
    }

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private async ValueTask WaitUntilAsync(long start, TimeSpan elapsed, CancellationToken cancellationToken)
    {
        // A timer has a resolution of a millisecond and may fire early.
        while (elapsed - time.GetElapsedTime(start) is var left && left >= Resolution)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Round(left.TotalMilliseconds)), time, cancellationToken).ConfigureAwait(false);
        }
    }
}
