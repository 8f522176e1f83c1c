using System.Diagnostics;
using MArk.Serving.Benchmarks.Models;

namespace MArk.Serving.Benchmarks.Raw;

/// <summary>What the machine can do: batches of one size back to back in a bare loop, on as many threads as the engine has instances.</summary>
internal sealed class RawCapacity : IDisposable
{
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

    /// <summary>Tries the batch sizes in turn, several times, so that the machine's noise meets all; measures the best one afresh.</summary>
    /// <returns>Requests per second at the best size.</returns>
    public double FindBest(double seconds, int rounds)
    {
        var sizes = LatencyProfile.ProbeSizes(_maxBatch);
        var rates = sizes.ToDictionary(size => size, _ => new List<double>());
        for (var round = 0; round < rounds; round++)
        {
            foreach (var size in sizes)
            {
                rates[size].Add(Measure(size, seconds));
            }
        }
        // What disturbs a measurement only ever slows it down, for seconds at a time: by medians of a few, a size would be chosen for its luck.
        Batch = sizes.MaxBy(size => rates[size].Max());
        return Statistics.Median(Enumerable.Range(0, rounds).Select(_ => Measure(seconds)));
    }

    /// <summary>Requests per second at the best size.</summary>
    public double Measure(double seconds) => Measure(Batch, seconds);

    public void Dispose()
    {
        foreach (var session in _sessions)
        {
            session.Dispose();
        }
    }

    private double Measure(int batch, double seconds)
    {
        var rates = new double[_sessions.Length];
        var threads = _sessions.Select((session, i) => new Thread(() => rates[i] = Loop(session, batch, seconds)) { IsBackground = true }).ToArray();
        foreach (var thread in threads)
        {
            thread.Start();
        }
        foreach (var thread in threads)
        {
            thread.Join();
        }
        return rates.Sum();
    }

    private double Loop(RawSession session, int batch, double seconds)
    {
        var inputs = _model.Inputs;
        var next = 0;
        var done = 0L;
        var start = Stopwatch.GetTimestamp();
        var end = start + (long)(seconds * Stopwatch.Frequency);
        long now;
        do
        {
            for (var row = 0; row < batch; row++)
            {
                session.Gather(row, inputs[next]);
                next = next + 1 == inputs.Length ? 0 : next + 1;
            }
            session.Run(batch);
            done += batch;
            now = Stopwatch.GetTimestamp();
        }
        while (now < end);
        return done / Stopwatch.GetElapsedTime(start, now).TotalSeconds;
    }
}
