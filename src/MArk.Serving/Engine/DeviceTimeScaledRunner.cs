using System.Diagnostics.CodeAnalysis;

namespace MArk.Serving.Engine;

/// <summary>
/// Stands in for a slower device: the real model runs, and its answers are given out when the device would have been done, by a
/// timer, without using the processor. The device's time of a batch is the scale times what the model was measured to take at that
/// size, undisturbed, so that a busy laptop does not become a slower device.
/// </summary>
internal sealed class DeviceTimeScaledRunner<TIn, TOut>(IBatchRunner<TIn, TOut> inner, LatencyProfile device, TimeProvider time) : IBatchRunner<TIn, TOut>
{
    public int MaxBatchSize => inner.MaxBatchSize;

    public int Slots => inner.Slots;

    // The inner run is short against the device's time, and the wait must not hold a thread.
    public bool BlocksThread => false;

    public async ValueTask RunAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        var held = new HeldAnswers(sink, batch.Count);
        await inner.RunAsync(batch, held, cancellationToken).ConfigureAwait(false);
        // A timer has a resolution of a millisecond and may fire early: never sooner than the device.
        while (device.Mean(batch.Count) - time.GetElapsedTime(start) is var left && left > TimeSpan.Zero)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds)), time, cancellationToken).ConfigureAwait(false);
        }
        held.Release();
    }

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private sealed class HeldAnswers(IBatchSink<TOut> outer, int count) : IBatchSink<TOut>
    {
        private readonly Lock _gate = new();
        private readonly List<(int Index, TOut? Result, Exception? Error)> _answers = new(count);

        public void SetResult(int index, TOut result)
        {
            lock (_gate)
            {
                _answers.Add((index, result, null));
            }
        }

        public void SetError(int index, Exception error)
        {
            lock (_gate)
            {
                _answers.Add((index, default, error));
            }
        }

        public bool TryGetDestination(int index, [MaybeNullWhen(false)] out TOut destination) => outer.TryGetDestination(index, out destination);

        public void Release()
        {
            foreach (var (index, result, error) in _answers)
            {
                if (error is null)
                {
                    outer.SetResult(index, result!);
                }
                else
                {
                    outer.SetError(index, error);
                }
            }
        }
    }
}
