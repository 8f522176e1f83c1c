using System.Collections.Concurrent;
using System.Diagnostics;
using MArk.Serving.Benchmarks.Load;

namespace MArk.Serving.Benchmarks.Servers;

/// <summary>
/// A place to spill to that answers after a fixed time and uses no processor: all calls wait on one thread, and go on there. A timer for each would wake threads of the pool, which look for more
/// to do before they sleep, and so take a good part of the core that the load generator is on.
/// </summary>
internal sealed class FixedDelayTarget : ISpilloverTarget<float[], float[]>, IAsyncDisposable
{
    private readonly BlockingCollection<(long Due, TaskCompletionSource Wait)> _waiting = [];
    private readonly float[] _answer;
    private readonly SpilloverQuote _quote;
    private readonly long _ticks;
    private readonly Thread _thread;

    public FixedDelayTarget(TimeSpan delay, float[] answer)
    {
        _answer = answer;
        // The thread shares its core with the load generator and the host's callers, and may have to wait for it.
        var latency = LatencyQuantiles.Constant(delay + TimeSpan.FromMilliseconds(1.5));
        _quote = new SpilloverQuote { Warm = latency, Cold = latency, FreeConcurrency = 1_000_000, WarmConcurrency = 1_000_000, ValidFor = TimeSpan.FromSeconds(1) };
        _ticks = (long)(delay.TotalSeconds * Stopwatch.Frequency);
        _thread = new Thread(EndWaits) { IsBackground = true, Name = "fixed delay" };
        _thread.Start();
    }

    public SpilloverQuote GetQuote() => _quote;

    public async ValueTask InferAsync(RequestBatch<float[]> batch, IBatchSink<float[]> sink, CancellationToken cancellationToken)
    {
        var wait = new TaskCompletionSource();
        _waiting.Add((Stopwatch.GetTimestamp() + _ticks, wait), cancellationToken);
        await wait.Task.ConfigureAwait(false);
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, _answer);
        }
    }

    public ValueTask DisposeAsync()
    {
        _waiting.CompleteAdding();
        _thread.Join();
        _waiting.Dispose();
        return ValueTask.CompletedTask;
    }

    private void EndWaits()
    {
        PreciseSleep.PrepareThread();
        // All wait equally long, so that the first to begin is the first to end.
        foreach (var (due, wait) in _waiting.GetConsumingEnumerable())
        {
            PreciseSleep.Until(due);
            wait.SetResult();
        }
    }
}
