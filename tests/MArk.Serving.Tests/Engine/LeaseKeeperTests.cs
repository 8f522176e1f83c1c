using System.Collections.Concurrent;
using MArk.Serving.Engine;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Tests.Engine;

public sealed class LeaseKeeperTests
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(30);

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));
    private readonly ConcurrentQueue<DateTimeOffset?> _answers = new();
    private readonly ConcurrentQueue<ServingException> _reports = new();

    private LeaseKeeper Keeper(IFleetLease lease) => new(lease, "m", Duration, _time, _answers.Enqueue, _reports.Enqueue);

    private async Task AnswersAsync(int count) => await HistoryEngineTests.UntilAsync(() => _answers.Count + _reports.Count >= count);

    [Fact]
    public async Task ItIsHeldForTwoThirdsOfItsDurationFromWhenItWasAskedForAndAskedForAgainAfterOne()
    {
        await using var keeper = Keeper(new InMemoryFleetLease(_time));
        await keeper.StartAsync(default);
        Assert.Equal([_time.Start + TimeSpan.FromSeconds(20)], _answers);
        _time.Advance(TimeSpan.FromSeconds(10));
        await AnswersAsync(2);
        Assert.Equal(_time.Start + TimeSpan.FromSeconds(30), _answers.Last());
        await keeper.StopAsync();
        Assert.Empty(_reports);
    }

    [Fact]
    public async Task WhoWaitsGetsItSoonAfterItWasGivenBack()
    {
        var lease = new InMemoryFleetLease(_time);
        Assert.True(await lease.TryHoldAsync("m", "b", TimeSpan.FromHours(1), default));
        await using var keeper = Keeper(lease);
        await keeper.StartAsync(default);
        Assert.Equal([null], _answers);
        Assert.Contains("held by another host", Assert.Single(_reports).Message, StringComparison.Ordinal);
        await lease.ReleaseAsync("m", "b", default);
        _time.Advance(TimeSpan.FromSeconds(10));
        await AnswersAsync(3);
        Assert.NotNull(_answers.Last());
        await keeper.StopAsync();
        Assert.True(await lease.TryHoldAsync("m", "b", Duration, default));
    }

    [Fact]
    public async Task AnErrorIsReportedAndSaysNothingOfWhoHoldsIt()
    {
        await using var keeper = Keeper(new BrokenLease(() => throw new InvalidOperationException("no such table")));
        await keeper.StartAsync(default);
        Assert.Empty(_answers);
        var report = Assert.IsType<FleetLeaseException>(Assert.Single(_reports));
        Assert.Contains("no such table", report.Message, StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromSeconds(10));
        await AnswersAsync(2);
        await keeper.StopAsync();
        Assert.Contains(_reports, r => r.Message.Contains("given back", StringComparison.Ordinal));
    }

    [Fact]
    public async Task ACallThatNeverReturnsHoldsUpNeitherTheStartNorTheStop()
    {
        var never = new TaskCompletionSource<bool>();
        await using var keeper = Keeper(new BrokenLease(() => never.Task));
        var start = keeper.StartAsync(default);
        while (!start.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        await start;
        var stop = keeper.StopAsync();
        while (!stop.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        await stop;
        Assert.Empty(_answers);
        Assert.Contains("does not heed", Assert.Single(_reports).Message, StringComparison.Ordinal);
        never.SetResult(true);
    }

    private sealed class BrokenLease(Func<Task<bool>> answer) : IFleetLease
    {
        public async ValueTask<bool> TryHoldAsync(string fleet, string holder, TimeSpan duration, CancellationToken cancellationToken) => await answer();

        public async ValueTask ReleaseAsync(string fleet, string holder, CancellationToken cancellationToken) => await answer();
    }
}
