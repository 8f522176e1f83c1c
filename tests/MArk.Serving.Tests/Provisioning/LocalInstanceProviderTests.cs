using MArk.Serving.Provisioning;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Tests.Provisioning;

public sealed class LocalInstanceProviderTests
{
    private readonly FakeTimeProvider _time = new();

    private LocalInstanceProvider Provider(int cores, params LocalOffering[] offerings) => new(offerings, new CoreBudget(cores), _time);

    private static ValueTask<InstanceDescriptor> Launch(LocalInstanceProvider provider, string id, string offering = "local") =>
        provider.LaunchAsync(new LaunchRequest(id, "m", offering), CancellationToken.None);

    [Fact]
    public async Task AMachineRunsAfterItsLaunchDelayAndTheWatchSaysSo()
    {
        var provider = Provider(2, new LocalOffering { LaunchDelay = TimeSpan.FromSeconds(3) });
        var machine = await Launch(provider, "a");
        Assert.Equal((InstanceState.Pending, _time.GetUtcNow()), (machine.State, machine.BilledFrom));
        await using var watch = provider.WatchAsync("m", CancellationToken.None).GetAsyncEnumerator();
        Assert.True(await watch.MoveNextAsync());
        Assert.Equal(InstanceState.Pending, watch.Current.State);
        var next = watch.MoveNextAsync();
        _time.Advance(TimeSpan.FromSeconds(3));
        Assert.True(await next);
        Assert.Equal((machine.Id, InstanceState.Running), (watch.Current.Id, watch.Current.State));
        await provider.TerminateAsync(machine.Id, CancellationToken.None);
        Assert.True(await watch.MoveNextAsync());
        Assert.Equal(InstanceState.Terminated, watch.Current.State);
        Assert.Empty(await provider.ListAsync("m", CancellationToken.None));
        await provider.TerminateAsync(machine.Id, CancellationToken.None);
    }

    [Fact]
    public async Task TheSameLaunchNeverLaunchesTwice()
    {
        var provider = Provider(2, new LocalOffering { MaxInstances = 2 });
        Assert.Equal((await Launch(provider, "a")).Id, (await Launch(provider, "a")).Id);
        Assert.Single(await provider.ListAsync("m", CancellationToken.None));
    }

    [Fact]
    public async Task CoresAreHeldExclusivelyAndGivenBack()
    {
        var cores = new CoreBudget(3);
        var one = new LocalInstanceProvider([new LocalOffering { Threads = 2, MaxInstances = 4 }], cores, _time);
        var other = new LocalInstanceProvider([new LocalOffering { Threads = 2 }], cores, _time);
        Assert.Equal(1, one.Offerings[0].MaxInstances);
        var machine = await Launch(one, "a");
        var error = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await Launch(other, "b"));
        Assert.Equal(LaunchFailure.InsufficientCapacity, error.Failure);
        await one.TerminateAsync(machine.Id, CancellationToken.None);
        await Launch(other, "b");
    }

    [Fact]
    public async Task AStandInHoldsNoCoreAndIsBoundedByTheOfferingAlone()
    {
        var provider = Provider(1, new LocalOffering { MaxInstances = 3, DeviceTimeScale = 500 });
        for (var i = 0; i < 3; i++)
        {
            await Launch(provider, $"{i}");
        }
        var error = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await Launch(provider, "3"));
        Assert.Equal(LaunchFailure.QuotaExceeded, error.Failure);
        Assert.Contains("3 instances", error.Message);
    }

    [Fact]
    public async Task AnUnknownOfferingIsNamedBesideThoseThereAre()
    {
        var error = await Assert.ThrowsAsync<InstanceLaunchException>(async () => await Launch(Provider(1, new LocalOffering()), "a", "gpu"));
        Assert.Equal(LaunchFailure.Misconfigured, error.Failure);
        Assert.Contains("there are: local", error.Message);
    }

    [Fact]
    public void BadOfferingsAreRefusedByName()
    {
        Assert.Contains("DeviceTimeScale is 0.5; accepted: 1", Assert.Throws<ArgumentException>(() => Provider(1, new LocalOffering { DeviceTimeScale = 0.5 })).Message);
        Assert.Contains("Threads is 0", Assert.Throws<ArgumentException>(() => Provider(1, new LocalOffering { Threads = 0 })).Message);
        Assert.Contains("this machine has 1 cores", Assert.Throws<ArgumentException>(() => Provider(1, new LocalOffering { Threads = 2 })).Message);
        Assert.Contains("unique", Assert.Throws<ArgumentException>(() => Provider(1, new LocalOffering(), new LocalOffering())).Message);
        Assert.Contains("at least one", Assert.Throws<ArgumentException>(() => Provider(1)).Message);
    }
}
