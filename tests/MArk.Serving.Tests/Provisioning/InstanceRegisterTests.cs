using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

public sealed class InstanceRegisterTests
{
    private static InstanceDescriptor Machine(string id) => new() { Id = id, LaunchId = $"launch-{id}", OfferingName = "o" };

    [Fact]
    public async Task MachinesAreListedAndWatchedByFleetFromHowTheyAre()
    {
        var register = new InstanceRegister();
        register.Add("f", Machine("1"));
        register.Add("other", Machine("2"));
        Assert.Equal(("1", "2", 2), (Assert.Single(register.List("f")).Id, Assert.Single(register.List("other")).Id, register.CountOf("o")));
        using var end = new CancellationTokenSource();
        var seen = new List<(string, InstanceState)>();
        var watch = register.WatchAsync("f", end.Token).GetAsyncEnumerator(CancellationToken.None);
        Assert.True(await watch.MoveNextAsync());
        seen.Add((watch.Current.Id, watch.Current.State));
        Assert.True(register.Change("1", InstanceState.Running));
        Assert.True(register.Change("2", InstanceState.Running));
        Assert.True(register.Change("1", InstanceState.Terminated));
        Assert.False(register.Change("1", InstanceState.Running));
        for (var i = 0; i < 2; i++)
        {
            Assert.True(await watch.MoveNextAsync());
            seen.Add((watch.Current.Id, watch.Current.State));
        }
        Assert.Equal([("1", InstanceState.Pending), ("1", InstanceState.Running), ("1", InstanceState.Terminated)], seen);
        Assert.Empty(register.List("f"));
        Assert.True(register.TryGetLaunch("launch-1", out var gone));
        Assert.Equal(InstanceState.Terminated, gone.State);
        Assert.False(register.TryGetLaunch("launch-3", out _));
        Assert.Throws<ArgumentException>(() => register.Add("f", Machine("2")));
        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await watch.MoveNextAsync());
    }
}
