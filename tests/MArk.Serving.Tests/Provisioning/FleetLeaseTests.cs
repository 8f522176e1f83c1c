using MArk.Serving.Provisioning;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>At most one holds a fleet's lease, whatever keeps it.</summary>
public sealed class FleetLeaseTests : IDisposable
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(30);

    private readonly string _directory = Directory.CreateTempSubdirectory("lease-").FullName;
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));

    public static TheoryData<string> Kinds => ["memory", "file"];

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private IFleetLease Create(string kind) => kind == "memory" ? new InMemoryFleetLease(_time) : new FileFleetLease(_directory, _time);

    private static ValueTask<bool> HoldAsync(IFleetLease lease, string holder, string fleet = "m") => lease.TryHoldAsync(fleet, holder, Duration, default);

    [Theory, MemberData(nameof(Kinds))]
    public async Task TheFirstHoldsItAndOthersWaitUntilItRunsOut(string kind)
    {
        var lease = Create(kind);
        Assert.True(await HoldAsync(lease, "a"));
        Assert.False(await HoldAsync(lease, "b"));
        _time.Advance(Duration - TimeSpan.FromTicks(1));
        Assert.False(await HoldAsync(lease, "b"));
        _time.Advance(TimeSpan.FromTicks(1));
        Assert.True(await HoldAsync(lease, "b"));
        Assert.False(await HoldAsync(lease, "a"));
    }

    [Theory, MemberData(nameof(Kinds))]
    public async Task WhoHoldsItKeepsItByAskingAgain(string kind)
    {
        var lease = Create(kind);
        for (var i = 0; i < 5; i++)
        {
            Assert.True(await HoldAsync(lease, "a"));
            _time.Advance(Duration * 0.9);
            Assert.False(await HoldAsync(lease, "b"));
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public async Task WhatIsGivenBackIsFreeAtOnceAndOnlyItsHolderGivesItBack(string kind)
    {
        var lease = Create(kind);
        await lease.ReleaseAsync("m", "a", default);
        Assert.True(await HoldAsync(lease, "a"));
        await lease.ReleaseAsync("m", "b", default);
        Assert.False(await HoldAsync(lease, "b"));
        await lease.ReleaseAsync("m", "a", default);
        Assert.True(await HoldAsync(lease, "b"));
    }

    [Theory, MemberData(nameof(Kinds))]
    public async Task FleetsDoNotDisturbEachOther(string kind)
    {
        var lease = Create(kind);
        Assert.True(await HoldAsync(lease, "a", "m"));
        Assert.True(await HoldAsync(lease, "b", "M"));
        Assert.True(await HoldAsync(lease, "c", "../m"));
        Assert.False(await HoldAsync(lease, "c", "m"));
    }

    [Theory, MemberData(nameof(Kinds))]
    public async Task OfManyWhoAskAtOnceOneGetsIt(string kind)
    {
        var shared = Create(kind);
        for (var round = 0; round < 5; round++)
        {
            // Of files each host has an object of its own.
            var asked = Enumerable.Range(0, 8).Select(i => Task.Run(async () => await HoldAsync(kind == "memory" ? shared : Create(kind), $"h{i}")));
            Assert.Single(await Task.WhenAll(asked), held => held);
            _time.Advance(Duration);
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public async Task NonsenseIsRefused(string kind)
    {
        var lease = Create(kind);
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await lease.TryHoldAsync("", "a", Duration, default));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await lease.TryHoldAsync("m", "", Duration, default));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await lease.TryHoldAsync("m", "a", TimeSpan.Zero, default));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await lease.TryHoldAsync("m", "a", Duration, new CancellationToken(canceled: true)));
        Assert.True(await HoldAsync(lease, "b"));
    }

    [Fact]
    public async Task AHolderOfAFileHasANameOfOneLine()
    {
        var lease = Create("file");
        Assert.Contains("one line", (await Assert.ThrowsAsync<ArgumentException>(async () => await HoldAsync(lease, "a\nb"))).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentException>(async () => await HoldAsync(lease, "-"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("something else\na\n2026-01-01T13:00:00.0000000Z\n")]
    [InlineData("mark-fleet-lease 2\na\n2026-01-01T13:00:00.0000000Z\n")]
    [InlineData("mark-fleet-lease 1\na\nsoon\n")]
    [InlineData("mark-fleet-lease 1\n\n2026-01-01T13:00:00.0000000Z\n")]
    public async Task AFileThatCannotBeReadIsKeptAsideAndSaidAndNobodyTakesTheLeaseForAWhile(string content)
    {
        var lease = new FileFleetLease(_directory, _time);
        File.WriteAllText(lease.PathOf("m"), content);

        var error = await Assert.ThrowsAsync<FleetLeaseException>(async () => await HoldAsync(lease, "a"));

        Assert.Equal("m", error.Fleet);
        Assert.Contains(".aside-1", error.Message, StringComparison.Ordinal);
        Assert.Equal(content, File.ReadAllText(lease.PathOf("m") + ".aside-1"));
        Assert.False(await HoldAsync(lease, "a"));
        _time.Advance(Duration);
        Assert.True(await HoldAsync(lease, "a"));
    }

    [Fact]
    public async Task AFileThatCannotBeReadIsLeftAloneByWhoGivesTheLeaseBack()
    {
        var lease = new FileFleetLease(_directory, _time);
        File.WriteAllText(lease.PathOf("m"), "?");
        await lease.ReleaseAsync("m", "a", default);
        Assert.Equal("?", File.ReadAllText(lease.PathOf("m")));
    }

    [Fact]
    public async Task ADirectoryThatIsNoneIsATypedError()
    {
        var file = Path.Combine(_directory, "file");
        File.WriteAllText(file, "");
        var lease = new FileFleetLease(Path.Combine(file, "leases"), _time);
        var error = await Assert.ThrowsAsync<FleetLeaseException>(async () => await HoldAsync(lease, "a"));
        Assert.IsAssignableFrom<IOException>(error.InnerException);
    }

    [Fact]
    public async Task TheDirectoryIsMadeWithTheFirstCall()
    {
        var lease = new FileFleetLease(Path.Combine(_directory, "a", "b"), _time);
        await lease.ReleaseAsync("m", "a", default);
        Assert.True(await HoldAsync(lease, "a"));
        Assert.True(File.Exists(lease.PathOf("m")));
    }
}
