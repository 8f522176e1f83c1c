using MArk.Serving.DependencyInjection;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Tests.Engine;

/// <summary>What a model is told of a fleet, and of instances, that it has not is refused, and not passed over.</summary>
public sealed class FleetlessModelTests
{
    private const string Fleet = "MArk:Models:m:Fleet";

    private static readonly LatencyProfile Profile = HistoryEngineTests.Profile;

    private static Task<ServingHost> StartAsync(Action<ModelBuilder<int, int>> configure, Dictionary<string, string?>? settings = null) => ServingHost.StartAsync(
        m =>
        {
            m.UseBatchFunction(HistoryEngineTests.Double);
            configure(m);
        },
        settings);

    [Theory]
    [InlineData("MaxHourlySpend", "5", "MaxHourlySpend is 5; accepted: nothing")]
    [InlineData("StandbyInstances", "1", "StandbyInstances is 1; accepted: 0")]
    [InlineData("ScheduledCapacity:0:MinRate", "1", "ScheduledCapacity is said; accepted: nothing")]
    [InlineData("DryRun", "true", "DryRun is True; accepted: false")]
    [InlineData("TimeZone", "Asia/Tokyo", "TimeZone is 'Asia/Tokyo'; accepted: UTC")]
    public async Task SettingsOfAFleetAreRefusedByName(string key, string value, string message)
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(_ => { }, new() { [$"{Fleet}:{key}"] = value }));
        Assert.Contains($"{Fleet}:{message}, as no instance provider is used", error.Message);
    }

    public static TheoryData<string, Action<ModelBuilder<int, int>>> Parts => new()
    {
        { "Model 'm' has a predictor, and no fleet", m => m.UsePredictor(_ => new AutoPredictor()) },
        { "Model 'm' has a planner, and no fleet", m => m.UsePlanner(_ => new StaticPlanner(1)) },
    };

    [Theory]
    [MemberData(nameof(Parts), DisableDiscoveryEnumeration = true)]
    public async Task PartsOfAFleetAreRefused(string message, Action<ModelBuilder<int, int>> use)
    {
        var error = await Assert.ThrowsAsync<ArgumentException>("configure", () => StartAsync(use));
        Assert.Contains(message, error.Message);
        Assert.Contains("call UseLocalInstances or UseInstanceProvider, or leave Use", error.Message);
    }

    [Fact]
    public async Task AProfileOfNoOfferingIsRefusedWithThoseThereAre()
    {
        var provided = await Assert.ThrowsAsync<OptionsValidationException>(
            () => StartAsync(m => m.WithProfile("a", Profile).WithProfile("c", Profile).UseInstanceProvider(_ => new ScriptedProvider(new() { Name = "a" }, new() { Name = "b" }))));
        Assert.Contains("Model 'm' was given a profile of 'c' by WithProfile; accepted: 'a', 'b', the instances that it has.", provided.Message);
        var own = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(m => m.WithProfile("local", Profile)));
        Assert.Contains("Model 'm' was given a profile of 'local' by WithProfile; accepted: 'in-process', the instances that it has.", own.Message);
    }

    [Fact]
    public async Task AFunctionsConcurrencyIsRefusedWhereInstancesComeFromAProvider()
    {
        var error = await Assert.ThrowsAsync<ArgumentException>("configure", () => StartAsync(m => m.UseBatchFunction(HistoryEngineTests.Double, concurrency: 3).UseLocalInstances()));
        Assert.Contains("Model 'm' has a batch function of concurrency 3, and instances of a provider", error.Message);
    }

    [Fact]
    public async Task InstancesThatAreConfiguredGoBeforeAFunctionsConcurrency()
    {
        await using var host = await StartAsync(m => m.UseBatchFunction(HistoryEngineTests.Double, concurrency: 3), new() { ["MArk:Models:m:Instances"] = "2" });
        Assert.Equal(2, host.Monitor.GetReport().ReadyInstances);
    }

    [Fact]
    public async Task ATimeoutThatEndsBeforeTheLaunchDoesIsRefused()
    {
        var offerings = new InstanceOffering[] { new() { Name = "quick" }, new() { Name = "slow", LaunchDelay = TimeSpan.FromSeconds(90) } };
        var error = await Assert.ThrowsAsync<OptionsValidationException>(
            () => StartAsync(m => m.UseInstanceProvider(_ => new ScriptedProvider(offerings)), new() { [$"{Fleet}:ReadyTimeout"] = "00:01:00" }));
        Assert.Contains($"{Fleet}:ReadyTimeout is 00:01:00; accepted: at least 00:01:30, the launch delay of 'slow'", error.Message);
        Assert.Equal(offerings, ConfiguredOfferings.Of("m", offerings, new FleetOptions { ReadyTimeout = TimeSpan.FromSeconds(90) }));
    }
}
