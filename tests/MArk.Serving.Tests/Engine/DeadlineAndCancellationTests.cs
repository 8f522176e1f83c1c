using MArk.Serving.DependencyInjection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Tests.Engine;

/// <summary>
/// Issue 3, feature 2: deadlines that fire on time, while batches run; what is expired or cancelled leaves the queue at once and is never executed; a caller that goes while its
/// request runs returns at once, and its batch-mates do not notice.
/// </summary>
public sealed class DeadlineAndCancellationTests
{
    private static readonly InferenceOptions Patient = new() { Timeout = TimeSpan.FromMinutes(10), WhenUnreachable = WhenUnreachable.ServeLate };

    private readonly FakeTimeProvider _time = new();
    private readonly GatedDoubler _doubler = new();

    private Task<ServingHost> StartAsync(Action<ModelBuilder<int, int>>? configure = null) => ServingHost.StartAsync(m =>
    {
        m.Services.AddSingleton<TimeProvider>(_time);
        m.UseBatchFunction(_doubler.RunAsync).WithSlo(TimeSpan.FromMilliseconds(100));
        configure?.Invoke(m);
    });

    private static async Task<T> Soon<T>(Task<T> task) => await task.WaitAsync(TimeSpan.FromSeconds(60));

    /// <summary>Calls are taken in, and the timer is set, soon after they are made, not by then.</summary>
    private static async Task UntilWaitingAsync(ServingHost host, int count)
    {
        while (host.Monitor.GetReport().Waiting != count || !host.Engine.IsTimerSet)
        {
            await Task.Yield();
        }
    }

    private static InferenceOptions Within(double ms, WhenUnreachable mode) => new() { Timeout = TimeSpan.FromMilliseconds(ms), WhenUnreachable = mode };

    [Fact]
    public async Task ADeadlineFiresWhileABatchRunsAndItsRequestIsNeverExecuted()
    {
        await using var host = await StartAsync();
        var running = host.Client.InferAsync(1, Patient).AsTask();
        await _doubler.Entered.WaitAsync();
        var strict = host.Client.TryInferAsync(2, Within(50, WhenUnreachable.Reject)).AsTask();
        var patient = host.Client.InferAsync(3, Patient).AsTask();
        await UntilWaitingAsync(host, 2);
        _time.Advance(TimeSpan.FromMilliseconds(49));
        Assert.Equal(2, host.Monitor.GetReport().Waiting);
        _time.Advance(TimeSpan.FromMilliseconds(2));
        Assert.Equal(RejectionReason.DeadlineUnreachable, (await Soon(strict)).RejectionReason);
        Assert.Equal(1, host.Monitor.GetReport().Waiting);
        Assert.False(running.IsCompleted);
        _doubler.Open();
        Assert.Equal((2, 6), (await Soon(running), await Soon(patient)));
        Assert.Equal([[1], [3]], _doubler.Batches);
    }

    [Fact]
    public async Task ADeadlineBeyondWhatATimerTakesFiresOnTime()
    {
        await using var host = await StartAsync();
        var running = host.Client.InferAsync(1, Patient).AsTask();
        await _doubler.Entered.WaitAsync();
        var strict = host.Client.TryInferAsync(2, new() { Timeout = TimeSpan.FromHours(30), WhenUnreachable = WhenUnreachable.Reject }).AsTask();
        await UntilWaitingAsync(host, 1);
        _time.Advance(TimeSpan.FromHours(24));
        Assert.Equal(1, host.Monitor.GetReport().Waiting);
        _time.Advance(TimeSpan.FromHours(6) + TimeSpan.FromMilliseconds(1));
        Assert.Equal(RejectionReason.DeadlineUnreachable, (await Soon(strict)).RejectionReason);
        _doubler.Open();
        await Soon(running);
    }

    [Fact]
    public async Task DeadlinesFireInTheirOwnOrderWhateverTheOrderOfArrival()
    {
        await using var host = await StartAsync();
        var running = host.Client.InferAsync(1, Patient).AsTask();
        await _doubler.Entered.WaitAsync();
        var calls = new[] { 300, 100, 200 }.Select(ms => (Ms: ms, Call: host.Client.TryInferAsync(ms, Within(ms, WhenUnreachable.Reject)).AsTask())).ToArray();
        await UntilWaitingAsync(host, calls.Length);
        foreach (var (_, call) in calls.OrderBy(c => c.Ms))
        {
            var left = host.Monitor.GetReport().Waiting;
            _time.Advance(TimeSpan.FromMilliseconds(101));
            Assert.Equal(left - 1, host.Monitor.GetReport().Waiting);
            Assert.Equal(InferenceStatus.Rejected, (await Soon(call)).Status);
        }
        _doubler.Open();
        await Soon(running);
        Assert.Single(_doubler.Batches);
    }

    [Fact]
    public async Task WhatMayBeServedLateIsKeptBeyondItsDeadline()
    {
        await using var host = await StartAsync();
        var running = host.Client.InferAsync(1, Patient).AsTask();
        await _doubler.Entered.WaitAsync();
        var late = host.Client.TryInferAsync(2, Within(50, WhenUnreachable.ServeLate)).AsTask();
        await UntilWaitingAsync(host, 1);
        _time.Advance(TimeSpan.FromSeconds(1));
        _doubler.Open();
        await Soon(running);
        var result = await Soon(late);
        Assert.Equal((4, false), (result.Value, result.InTime));
    }

    [Fact]
    public async Task WhatMakesRoomForAnotherIsToldThoughNoBatchEnds()
    {
        await using var host = await StartAsync(m => m.WithOptions(o => o.MaxQueueLength = 1));
        var running = host.Client.InferAsync(1, Patient).AsTask();
        await _doubler.Entered.WaitAsync();
        var low = host.Client.TryInferAsync(2, Patient with { Priority = RequestPriority.Low }).AsTask();
        await UntilWaitingAsync(host, 1);
        var next = host.Client.InferAsync(3, Patient).AsTask();
        Assert.Equal(RejectionReason.QueueFull, (await Soon(low)).RejectionReason);
        _doubler.Open();
        Assert.Equal((2, 6), (await Soon(running), await Soon(next)));
    }

    [Fact]
    public async Task ACancelledRequestLeavesTheQueueAtOnceAndMakesRoomForAnother()
    {
        await using var host = await StartAsync(m => m.WithOptions(o => o.MaxQueueLength = 1));
        using var source = new CancellationTokenSource();
        var running = host.Client.InferAsync(1, Patient).AsTask();
        await _doubler.Entered.WaitAsync();
        var waiting = host.Client.TryInferAsync(2, Patient, source.Token).AsTask();
        Assert.Equal(RejectionReason.QueueFull, (await Soon(host.Client.TryInferAsync(3, Patient).AsTask())).RejectionReason);
        source.Cancel();
        Assert.Equal(0, host.Monitor.GetReport().Waiting);
        Assert.Equal(InferenceStatus.Cancelled, (await Soon(waiting)).Status);
        var next = host.Client.InferAsync(4, Patient).AsTask();
        _doubler.Open();
        Assert.Equal((2, 8), (await Soon(running), await Soon(next)));
        Assert.Equal([[1], [4]], _doubler.Batches);
    }

    [Fact]
    public async Task ACallThatIsCancelledWhileItRunsReturnsAtOnceAndItsMatesGetTheirAnswers()
    {
        await using var host = await StartAsync();
        using var source = new CancellationTokenSource();
        var first = host.Client.InferAsync(0, Patient).AsTask();
        await _doubler.Entered.WaitAsync();
        var mates = new[] { host.Client.InferAsync(1, Patient).AsTask(), host.Client.InferAsync(3, Patient).AsTask() };
        var gone = host.Client.InferAsync(2, Patient, source.Token).AsTask();
        _doubler.Open(1);
        await Soon(first);
        await _doubler.Entered.WaitAsync();
        Assert.Equal([1, 2, 3], _doubler.Batches.Last().Order());
        source.Cancel();
        var cancelled = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Soon(gone));
        Assert.Equal(source.Token, cancelled.CancellationToken);
        Assert.All(mates, m => Assert.False(m.IsCompleted));
        _doubler.Open();
        var answers = await Soon(Task.WhenAll(mates));
        Assert.Equal([2, 6], answers);
        await host.StopAsync();
        var report = host.Monitor.GetReport();
        Assert.Equal((4, 1), (report.Offered, report.Cancelled));
    }
}
