using System.Diagnostics;
using MArk.Serving.Benchmarks.Load;

namespace MArk.Serving.Benchmarks.Models;

/// <summary>A device that computes nothing and takes its time: a batch is done when its profile says, as far as the machine wakes its thread on time, whatever else runs there.</summary>
internal sealed class TimedDevice(LatencyProfile profile)
{
    private long _overslept;

    public LatencyProfile Profile => profile;

    /// <summary>How many batches took more than a millisecond longer than their time: the machine paused, or did something else.</summary>
    public long Overslept => Volatile.Read(ref _overslept);

    /// <summary>Holds the calling thread for a batch's time.</summary>
    public void Run(int count)
    {
        var end = Stopwatch.GetTimestamp() + (long)(profile.Mean(count).TotalSeconds * Stopwatch.Frequency);
        PreciseSleep.PrepareThread();
        PreciseSleep.Until(end);
        if (Stopwatch.GetTimestamp() - end > Stopwatch.Frequency / 1000)
        {
            Interlocked.Increment(ref _overslept);
        }
    }
}

/// <summary>The engine's way to such a device; answers are zeros that all requests share.</summary>
internal sealed class TimedRunnerFactory(TimedDevice device, int outputLength) : IBatchRunnerFactory<float[], float[]>
{
    public ValueTask<IBatchRunner<float[], float[]>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(new Runner(device, new float[outputLength]));

    private sealed class Runner(TimedDevice device, float[] answer) : IBatchRunner<float[], float[]>
    {
        private readonly float[][] _answers = [.. Enumerable.Repeat(answer, device.Profile.MaxBatchSize)];

        public bool BlocksThread => true;

        public ValueTask RunAsync(RequestBatch<float[]> batch, IBatchSink<float[]> sink, CancellationToken cancellationToken)
        {
            device.Run(batch.Count);
            sink.SetResults(0, _answers.AsSpan(0, batch.Count));
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
