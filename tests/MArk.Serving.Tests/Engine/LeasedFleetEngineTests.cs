using MArk.Serving.DependencyInjection;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Tests.Engine;

/// <summary>Two hosts of one fleet: one keeps it, the other waits and follows.</summary>
public sealed class LeasedFleetEngineTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("lease-").FullName;
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));
    private readonly ScriptedProvider _provider = new();

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private Action<ModelBuilder<int, int>> Fleet(Action<ModelBuilder<int, int>> lease) => m =>
    {
        m.Services.AddSingleton<TimeProvider>(_time);
        m.UseBatchFunction(HistoryEngineTests.Double).WithProfile("o", HistoryEngineTests.Profile).WithSlo(TimeSpan.FromHours(10))
            .UseInstanceProvider(_ => _provider).UsePlanner(_ => new StaticPlanner(1));
        lease(m);
    };

    private static async Task<bool> ServesAsync(ServingHost host) => (await host.Client.TryInferAsync(21)).Succeeded;

    [Fact]
    public async Task OneHostLaunchesAndTheOtherFollowsWhenItStops()
    {
        var lease = new InMemoryFleetLease(_time);
        var first = await ServingHost.StartAsync(Fleet(m => m.UseFleetLease(_ => lease).WithOptions(o => o.Fleet.LeaseDuration = TimeSpan.FromHours(1))));
        Assert.True(await ServesAsync(first));

        // It starts at once, though no instance of it will be ready.
        await using var second = await ServingHost.StartAsync(Fleet(m => m.UseFleetLease(_ => lease).WithOptions(o => o.Fleet.LeaseDuration = TimeSpan.FromHours(1))));
        Assert.Contains(second.Log.Errors, e => e is FleetLeaseException && e.Message.Contains("held by another host", StringComparison.Ordinal));
        for (var i = 0; i < 10; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(60));
        }
        Assert.Single(_provider.Machines);
        Assert.Equal(1, _provider.Launches);
        Assert.True(first.Monitor.GetReport().Fleet!.IsKeeper);
        Assert.False(second.Monitor.GetReport().Fleet!.IsKeeper);

        await first.DisposeAsync();
        Assert.Empty(_provider.Machines);
        // It asks again after a third of the lease's duration; what follows takes no time.
        _time.Advance(TimeSpan.FromMinutes(20));
        Assert.Equal(42, await second.Client.InferAsync(21));
        Assert.Equal(2, _provider.Launches);
    }

    [Fact]
    public async Task ADryRunKeepsTheLeaseFromNobody()
    {
        var lease = new InMemoryFleetLease(_time);
        await using var dry = await ServingHost.StartAsync(Fleet(m => m.UseFleetLease(_ => lease).WithOptions(o => o.Fleet.DryRun = true)));
        await using var acting = await ServingHost.StartAsync(Fleet(m => m.UseFleetLease(_ => lease)));
        Assert.True(await ServesAsync(acting));
        Assert.True(acting.Monitor.GetReport().Fleet!.IsKeeper);
        Assert.Single(_provider.Machines);
    }

    [Fact]
    public async Task ADirectoryInTheSettingsIsEnough()
    {
        var settings = new Dictionary<string, string?> { ["MArk:Models:m:Fleet:LeaseDirectory"] = _directory };
        await using (var host = await ServingHost.StartAsync(Fleet(_ => { }), settings))
        {
            Assert.True(await ServesAsync(host));
            Assert.Contains(Environment.MachineName, File.ReadAllText(new FileFleetLease(_directory).PathOf("m")), StringComparison.Ordinal);
        }
        Assert.False(File.Exists(new FileFleetLease(_directory).PathOf("m")));
    }

    [Theory]
    [InlineData("LeaseDuration", "00:00:00.5", "00:00:01 to 01:00:00")]
    [InlineData("LeaseDuration", "02:00:00", "00:00:01 to 01:00:00")]
    [InlineData("LeaseDirectory", " ", "the path of a directory")]
    public async Task BadSettingsAreNamed(string key, string value, string accepted)
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => ServingHost.StartAsync(Fleet(_ => { }), new() { [$"MArk:Models:m:Fleet:{key}"] = value }));
        Assert.Contains($"MArk:Models:m:Fleet:{key} is ", error.Message, StringComparison.Ordinal);
        Assert.Contains(accepted, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ALeaseWithoutAFleetIsRefused()
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(
            () => ServingHost.StartAsync(m => m.UseBatchFunction(HistoryEngineTests.Double).WithOptions(o => o.Fleet.LeaseDirectory = _directory)));
        Assert.Contains("MArk:Models:m:Fleet:LeaseDirectory is ", error.Message, StringComparison.Ordinal);
        var lease = await Assert.ThrowsAsync<ArgumentException>(
            () => ServingHost.StartAsync(m => m.UseBatchFunction(HistoryEngineTests.Double).UseFleetLease(_ => new InMemoryFleetLease())));
        Assert.Contains("leave UseFleetLease out", lease.Message, StringComparison.Ordinal);
    }
}
