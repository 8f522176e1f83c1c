using System.Diagnostics;
using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Raw;
using MArk.Serving.Benchmarks.Servers;

namespace MArk.Serving.Benchmarks.Load;

/// <summary>Callers that each ask again as soon as they have their answer, and check that it is theirs.</summary>
internal sealed class ClosedLoop
{
    private const int Stride = 8;       // counts on cache lines of their own
    private const float Tolerance = 1e-3f;

    private readonly BenchmarkModel _model;
    private readonly float[] _expected;
    private readonly int _callers;

    public ClosedLoop(BenchmarkModel model, int callers)
    {
        _model = model;
        _callers = callers;
        using var session = new RawSession(model, maxBatch: 1);
        _expected = [.. model.Inputs.Select(input =>
        {
            session.Gather(0, input);
            session.Run(1);
            return session.Scatter(0)[0];
        })];
    }

    /// <summary>Requests per second, after a warm-up that is not counted.</summary>
    /// <exception cref="InvalidOperationException">A request failed, or got another one's answer.</exception>
    public async Task<double> MeasureAsync(IServer server, double warmUpSeconds, double seconds)
    {
        GC.Collect();
        var counts = new long[_callers * Stride];
        using var stop = new CancellationTokenSource();
        var calls = Task.WhenAll(Enumerable.Range(0, _callers).Select(caller => Task.Run(() => CallAsync(server, caller, counts, stop))));
        await Task.WhenAny(calls, Task.Delay(TimeSpan.FromSeconds(warmUpSeconds)));
        var (start, before) = (Stopwatch.GetTimestamp(), counts.Sum());
        await Task.WhenAny(calls, Task.Delay(TimeSpan.FromSeconds(seconds)));
        var rate = (counts.Sum() - before) / Stopwatch.GetElapsedTime(start).TotalSeconds;
        await stop.CancelAsync();
        await calls;
        return rate;
    }

    private async Task CallAsync(IServer server, int caller, long[] counts, CancellationTokenSource stop)
    {
        var next = caller % _model.Inputs.Length;
        while (!stop.IsCancellationRequested)
        {
            var answer = (await server.TryInferAsync(_model.Inputs[next])).Value[0];
            if (!(Math.Abs(answer - _expected[next]) <= Tolerance * Math.Max(1, Math.Abs(answer))))
            {
                throw new InvalidOperationException($"{server.Name} answered {answer} where {_expected[next]} is right.");
            }
            counts[caller * Stride]++;
            next = (next + _callers + 1) % _model.Inputs.Length;
        }
    }
}
