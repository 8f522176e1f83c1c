using MArk.Serving.Configuration;
using MArk.Serving.DependencyInjection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Tests.Engine;

/// <summary>The builder wins over configuration in what it says, and leaves alone what it does not say.</summary>
public sealed class BuilderOverConfigurationTests
{
    private const string Model = "MArk:Models:m";

    private static ModelOptions OptionsOf(Action<ModelBuilder<int, int>> configure)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(
            new Dictionary<string, string?> { [$"{Model}:Slo"] = "00:00:02", [$"{Model}:ServiceLevel"] = "0.999", [$"{Model}:Instances"] = "5", [$"{Model}:Threads"] = "3" }).Build());
        services.AddMArkServing().AddModel<int, int>("m", m => configure(m.UseBatchFunction(HistoryEngineTests.Double)));
        using var provider = services.BuildServiceProvider();
        return provider.GetRequiredService<IOptionsMonitor<ModelOptions>>().Get("m");
    }

    [Fact]
    public void AnObjectiveAloneLeavesTheConfiguredServiceLevel()
    {
        var options = OptionsOf(m => m.WithSlo(TimeSpan.FromMilliseconds(50)));
        Assert.Equal((TimeSpan.FromMilliseconds(50), 0.999), (options.Slo, options.ServiceLevel));
    }

    [Fact]
    public void AServiceLevelThatIsGivenWins() => Assert.Equal(0.9, OptionsOf(m => m.WithSlo(TimeSpan.FromMilliseconds(50), serviceLevel: 0.9)).ServiceLevel);

    [Fact]
    public void InstancesAloneLeaveTheConfiguredThreads()
    {
        var options = OptionsOf(m => m.WithConcurrency(2));
        Assert.Equal((2, 3), (options.Instances, options.Threads));
    }

    [Fact]
    public void ThreadsThatAreGivenWin() => Assert.Equal(0, OptionsOf(m => m.WithConcurrency(2, threads: 0)).Threads);

    [Fact]
    public void WhatIsSetIsSetAfterConfigurationInTheOrderOfTheCalls()
    {
        double? configured = null;
        var options = OptionsOf(m => m.WithOptions(o => (configured, o.ServiceLevel) = (o.ServiceLevel, 0.8)).WithOptions(o => o.ServiceLevel += 0.1));
        Assert.Equal(0.999, configured);
        Assert.Equal(0.9, options.ServiceLevel, 9);
    }
}
