using MArk.Serving.DependencyInjection;
using MArk.Serving.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Tests.Engine;

/// <summary>A key that no setting has, and a section that no model has, are not passed over in silence.</summary>
public sealed class UnknownSettingsTests
{
    private const string Model = "MArk:Models:m";

    private static Task<ServingHost> StartAsync(Dictionary<string, string?> settings, Action<ModelBuilder<int, int>>? configure = null) => ServingHost.StartAsync(
        m =>
        {
            m.UseBatchFunction(HistoryEngineTests.Double).WithProfile("o", HistoryEngineTests.Profile).UseInstanceProvider(_ => new ScriptedProvider());
            configure?.Invoke(m);
        },
        settings);

    [Theory]
    [InlineData("MaxBatch", "MaxBatchSize, MaxBatchWeight, ")]
    [InlineData("Fleet:MaxHourlySpent", "MaxHourlySpend, MaxInstances, ")]
    [InlineData("Fleet:Offerings:o:Price", "InterruptionsPerHour, MaxInstances, OnDemandPricePerHour, PricePerHour, StoppedPricePerHour.")]
    [InlineData("Fleet:ScheduledCapacity:0:MinInstance", "Days, Duration, End, From, MinInstances, MinRate, Name, Start, TimeZone.")]
    [InlineData("Fleet:Ec2:Region", "MaxHourlySpend, MaxInstances, ")]
    public async Task AKeyThatNoSettingHasFailsTheStart(string key, string accepted)
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(new() { [$"{Model}:{key}"] = "5" }));
        Assert.Contains($"{Model}:{(key.StartsWith("Fleet:Ec2", StringComparison.Ordinal) ? "Fleet:Ec2" : key)} is no setting of what the model uses; accepted: ", error.Message);
        Assert.Contains(accepted, error.Message);
    }

    [Fact]
    public async Task KeysOfSettingsAreTakenInAnyCase()
    {
        await using var host = await StartAsync(new()
        {
            [$"{Model}:maxbatchsize"] = "4", [$"{Model}:Tenants:gold"] = "3", [$"{Model}:fleet:Offerings:o:pricePerHour"] = "0.5", [$"{Model}:Fleet:ScheduledCapacity:0:Days:0"] = "Monday",
            [$"{Model}:Fleet:ScheduledCapacity:0:From"] = "00:00:00", [$"{Model}:Fleet:ScheduledCapacity:0:Duration"] = "01:00:00", [$"{Model}:Fleet:ScheduledCapacity:0:MinRate"] = "1",
        });
        Assert.Empty(host.Log.Warnings);
    }

    [Fact]
    public async Task KeysOfAPackagesSectionAreKnownAndOthersOfItAreNot()
    {
        static void AddPart(ModelBuilder<int, int> m) => m.AddSettings<PartOptions>("Part").AddSettings<Element>("Part:Elements:*").AddSettings<Element>("Listed:*");
        await using (await StartAsync(new() { [$"{Model}:Part:Where"] = "here", [$"{Model}:Part:Elements:0:Size"] = "1", [$"{Model}:Listed:a:Size"] = "1" }, AddPart))
        {
        }
        foreach (var (key, accepted) in new[] { ("Part:When", "Elements, Where."), ("Part:Hidden", "Elements, Where."), ("Part:Elements:0:Sizes", "Size."), ("Listed:a:Sizes", "Size.") })
        {
            var error = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(new() { [$"{Model}:{key}"] = "1" }, AddPart));
            Assert.Contains($"{Model}:{key} is no setting of what the model uses; accepted: {accepted}", error.Message);
        }
    }

    /// <summary>The same settings may serve a host that runs on this machine here and on EC2 there.</summary>
    [Fact]
    public async Task ASectionOfAPartThatTheModelDoesNotUseIsLogged()
    {
        await using var host = await StartAsync(new() { [$"{Model}:Ec2:Region"] = "us-east-1" });
        Assert.Equal("The settings of section MArk:Models:m:Ec2 are of no part that model m uses, and are not heeded.", Assert.Single(host.Log.Warnings));
    }

    [Fact]
    public async Task ASectionOfAModelThatWasNotAddedIsLogged()
    {
        await using var host = await StartAsync(new() { ["MArk:Models:n:Slo"] = "00:00:01", [$"{Model}:Slo"] = "00:01:00" });
        Assert.Contains("section MArk:Models:n are those of no model that was added; models: m.", Assert.Single(host.Log.Warnings));
    }

    [Fact]
    public async Task AModelThatIsStartedLaterHasASectionAndSaysNothingOfOthers()
    {
        var log = new ServingHost.Journal();
        var services = new ServiceCollection();
        services.AddLogging(l => l.AddProvider(log));
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { ["MArk:Models:a:MaxBatchSize"] = "3", ["MArk:Models:late:MaxBatchSize"] = "0" }).Build());
        services.AddMArkServing();
        await using var provider = services.BuildServiceProvider();
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => ModelHost.StartAsync<int, int>(provider, "late", m => m.UseBatchFunction(HistoryEngineTests.Double)));
        Assert.Contains("MArk:Models:late:MaxBatchSize is 0", error.Message);
        await using var late = await ModelHost.StartAsync<int, int>(provider, "late", m => m.UseBatchFunction(HistoryEngineTests.Double).WithOptions(o => o.MaxBatchSize = 4));
        Assert.Empty(log.Warnings);
    }

    private sealed class PartOptions
    {
        public string? Where { get; set; }

        public List<Element> Elements { get; } = [];

        public int Hidden => Elements.Count;
    }

    private sealed class Element
    {
        public int Size { get; set; }
    }
}
