using System.Diagnostics;
using MArk.Serving.Benchmarks.Models;

namespace MArk.Serving.Benchmarks.Raw;

/// <summary>What the machine can do: batches of one size back to back in a bare loop, on as many threads as the engine has instances.</summary>
internal sealed class RawCapacity : IDisposable
{
    private const int TurnsPerRound = 5;

    // Another session's weights are in the caches at first, and the shared one among them is won back slowly: the first quarter of a second serves less.
    private const double WarmUpSeconds = 0.3;

    private readonly BenchmarkModel _model;
    private readonly RawSession[] _sessions;
    private readonly int _maxBatch;

    public RawCapacity(BenchmarkModel model, int instances, int maxBatch)
    {
        _model = model;
        _maxBatch = maxBatch;
        _sessions = [.. Enumerable.Range(0, instances).Select(_ => new RawSession(model, maxBatch))];
        foreach (var session in _sessions)
        {
            session.WarmUp();
        }
        Batch = maxBatch;
    }

    /// <summary>The batch size of the highest rate, once it was sought.</summary>
    public int Batch { get; private set; }

    /// <summary>Finds the batch size of the highest rate, and measures that one afresh.</summary>
    /// <returns>Requests per second at the best size.</returns>
    public double FindBest(double seconds, int rounds)
    {
        // The machine's speed moves from second to second: sizes are compared with those that were tried right before and after them.
        var sizes = LatencyProfile.ProbeSizes(_maxBatch);
        var shares = Array.ConvertAll(sizes, _ => new List<double>());
        for (var turn = 0; turn < rounds * TurnsPerRound; turn++)
        {
            var rates = Array.ConvertAll(sizes, size => Measure(size, seconds / TurnsPerRound).Rate);
            var sum = rates.Sum();
            for (var i = 0; i < sizes.Length; i++)
            {
                shares[i].Add(rates[i] / sum);
            }
        }
        Batch = sizes[Enumerable.Range(0, sizes.Length).MaxBy(i => Statistics.Median(shares[i]))];
        return Statistics.Median(Enumerable.Range(0, rounds).Select(_ => Measure(seconds).Rate));
    }

    /// <summary>Runs batches of the best size, after a warm-up that is not counted, on the cores of the instances.</summary>
    public BareRun Measure(double seconds) => Measure(Batch, seconds);

    /// <summary>The same on one core.</summary>
    public BareRun MeasureOn(int core, double seconds) => Measure(Batch, seconds, () => InstanceCores.HoldOn(core));

    /// <summary>How long the loop runs before a measurement begins, seconds; it is as warm then as the servers are.</summary>
    public static double WarmUp(double seconds) => Math.Min(WarmUpSeconds, seconds);

    public void Dispose()
    {
        foreach (var session in _sessions)
        {
            session.Dispose();
        }
    }

    private BareRun Measure(int batch, double seconds) => Measure(batch, seconds, () => InstanceCores.Hold(_sessions.Length));

    private BareRun Measure(int batch, double seconds, Action hold)
    {
        var loops = new List<long>[_sessions.Length];
        var threads = _sessions.Select((session, i) => new Thread(() =>
        {
            hold();
            Loop(session, batch, WarmUp(seconds));
            loops[i] = Loop(session, batch, seconds);
        }) { IsBackground = true, Name = InstanceCoresKeeper.BareThreads + "loop" }).ToArray();
        foreach (var thread in threads)
        {
            thread.Start();
        }
        foreach (var thread in threads)
        {
            thread.Join();
        }
        return new BareRun(batch, loops);
    }

    /// <summary>When the first batch began, and when each was done.</summary>
    private List<long> Loop(RawSession session, int batch, double seconds)
    {
        var inputs = _model.Inputs;
        var next = 0;
        var now = Stopwatch.GetTimestamp();
        var end = now + (long)(seconds * Stopwatch.Frequency);
        var times = new List<long> { now };
        do
        {
            for (var row = 0; row < batch; row++)
            {
                session.Gather(row, inputs[next]);
                next = next + 1 == inputs.Length ? 0 : next + 1;
            }
            session.Run(batch);
            now = Stopwatch.GetTimestamp();
            times.Add(now);
        }
        while (now < end);
        return times;
    }
}
