using System.Diagnostics;
using MArk.Serving;

namespace QuickStart;

/// <summary>Sends requests when they are due, whatever became of those before: an open loop, as the world is.</summary>
internal sealed class Replay(IModelClient<float[], float[]> client, (float[] Image, int Label)[] inputs)
{
    private long _answered;
    private long _correct;

    /// <summary>The share of answers that were right; nothing where nobody knows what is right.</summary>
    public double? Accuracy => inputs[0].Label < 0 || _answered == 0 ? null : (double)_correct / _answered;

    public async Task RunAsync(IReadOnlyList<TimeSpan> arrivals, CancellationToken cancellationToken)
    {
        var open = new List<Task>(arrivals.Count);
        var clock = Stopwatch.StartNew();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
        for (var next = 0; next < arrivals.Count;)
        {
            while (next < arrivals.Count && arrivals[next] <= clock.Elapsed)
            {
                open.Add(AskAsync(inputs[next++ % inputs.Length]));
            }
            await tick.WaitForNextTickAsync(cancellationToken);
        }
        await Task.WhenAll(open);
    }

    private async Task AskAsync((float[] Image, int Label) input)
    {
        var result = await client.TryInferAsync(input.Image);
        if (result.TryGetValue(out var logits))
        {
            Interlocked.Increment(ref _answered);
            if (logits.IndexOf(logits.Max()) == input.Label)
            {
                Interlocked.Increment(ref _correct);
            }
        }
    }
}
