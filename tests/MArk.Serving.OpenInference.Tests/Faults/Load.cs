using System.Collections.Concurrent;
using MArk.Serving.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.OpenInference.Tests.Faults;

/// <summary>Callers that ask one after the other, and a ledger of what became of each request.</summary>
internal sealed class Load<TIn, TOut> : IAsyncDisposable
{
    private readonly IModelClient<TIn, TOut> _client;
    private readonly Func<int, TIn> _ask;
    private readonly Func<int, TOut, bool> _isRight;
    private readonly CancellationTokenSource _enough = new();
    private readonly Task[] _callers;
    private int _asked;
    private int _right;
    private int _inTime;
    private readonly ConcurrentBag<string> _wrong = [];

    public Load(IHost host, string model, int callers, Func<int, TIn> ask, Func<int, TOut, bool> isRight)
    {
        _client = host.Services.GetRequiredKeyedService<IModelClient<TIn, TOut>>(model);
        Monitor = host.Services.GetRequiredKeyedService<IModelMonitor>(model);
        (_ask, _isRight) = (ask, isRight);
        _callers = [.. Enumerable.Range(0, callers).Select(_ => Task.Run(CallAsync))];
    }

    public IModelMonitor Monitor { get; }

    public int Right => Volatile.Read(ref _right);

    /// <summary>Goes on until so many more were answered.</summary>
    public Task GoOnAsync(int more)
    {
        var until = Right + more;
        return Until(() => Right >= until);
    }

    /// <summary>Goes on until something holds; fails if a request comes to a bad end meanwhile.</summary>
    public async Task Until(Func<bool> holds)
    {
        using var tooLong = new CancellationTokenSource(TimeSpan.FromSeconds(90));
        while (!holds())
        {
            Assert.Empty(_wrong);
            await Task.Delay(5, tooLong.Token);
        }
    }

    /// <summary>Ends, and checks that every request was answered once, and rightly, and enough of them in time.</summary>
    public async Task EndAsync(double attainment)
    {
        await _enough.CancelAsync();
        await Task.WhenAll(_callers);
        Assert.Empty(_wrong);
        Assert.Equal(_asked, _right);
        // A batch is counted when its run ends, after its callers have gone on.
        await Until(() => Monitor.GetReport().Succeeded >= _asked);
        var report = Monitor.GetReport();
        Assert.Equal((0, 0, 0), (report.Failed, report.Rejected, report.Cancelled));
        Assert.True(_inTime >= attainment * _asked, $"{_inTime} of {_asked} in time");
    }

    public async ValueTask DisposeAsync()
    {
        await _enough.CancelAsync();
        await Task.WhenAll(_callers);
        _enough.Dispose();
    }

    private async Task CallAsync()
    {
        while (!_enough.IsCancellationRequested)
        {
            var number = Interlocked.Increment(ref _asked);
            var result = await _client.TryInferAsync(_ask(number));
            if (!result.TryGetValue(out var answer))
            {
                _wrong.Add($"request {number} ended as {result.Status}: {result.Error?.Message}");
            }
            else if (!_isRight(number, answer))
            {
                _wrong.Add($"request {number} was answered wrongly");
            }
            else
            {
                Interlocked.Increment(ref _right);
                Interlocked.Add(ref _inTime, result.InTime ? 1 : 0);
            }
        }
    }
}
