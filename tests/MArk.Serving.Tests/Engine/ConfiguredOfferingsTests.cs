using MArk.Serving.DependencyInjection;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Tests.Engine;

/// <summary>Prices and quotas of offerings come from the settings, from a file, or from the provider, in this order.</summary>
public sealed class ConfiguredOfferingsTests : IDisposable
{
    private const string Fleet = "MArk:Models:m:Fleet";

    private readonly string _file = Path.GetTempFileName();

    private static readonly InstanceOffering[] Offered =
    [
        new() { Name = "a", PricePerHour = 1, MaxInstances = 5 },
        new() { Name = "b", Market = InstanceMarket.Spot, PricePerHour = 2, InterruptionsPerHour = 0.1 },
    ];

    public void Dispose() => File.Delete(_file);

    private static Task<ServingHost> StartAsync(Dictionary<string, string?> settings, ScriptedProvider? provider = null) => ServingHost.StartAsync(
        m => m.UseBatchFunction(HistoryEngineTests.Double).WithProfile("a", HistoryEngineTests.Profile).WithProfile("b", HistoryEngineTests.Profile).WithSlo(TimeSpan.FromHours(10))
            .UseInstanceProvider(_ => provider ?? new ScriptedProvider(Offered)),
        settings);

    [Fact]
    public void TheSettingsGoBeforeTheFileAndTheFileBeforeTheProvider()
    {
        File.WriteAllText(_file, "note,offering,price_per_hour,interruptions_per_hour,on_demand_price_per_hour\nx,b,0.5,0.2,2.5\n,other,9,,\n,a,0.8,,\n");
        var options = new FleetOptions { PriceFile = _file };
        options.Offerings["b"] = new OfferingOptions { PricePerHour = 0.4m };
        options.Offerings["a"] = new OfferingOptions { MaxInstances = 3 };
        Assert.Equal(
            [Offered[0] with { PricePerHour = 0.8m, MaxInstances = 3 }, Offered[1] with { PricePerHour = 0.4m, InterruptionsPerHour = 0.2, OnDemandPricePerHour = 2.5m }],
            ConfiguredOfferings.Of("m", Offered, options));
        // A quota does not raise what the provider has.
        options.Offerings["a"].MaxInstances = 10;
        Assert.Equal(5, ConfiguredOfferings.Of("m", Offered, options)[0].MaxInstances);
        Assert.Equal(Offered, ConfiguredOfferings.Of("m", Offered, new FleetOptions()));
    }

    [Fact]
    public async Task TheFleetIsPlannedAtThem()
    {
        var provider = new ScriptedProvider(Offered);
        await using var host = await StartAsync(new() { [$"{Fleet}:Offerings:b:PricePerHour"] = "0.4", [$"{Fleet}:MaxInstances"] = "1" }, provider);
        await host.UntilAsync(r => r.ReadyInstances == 1);
        Assert.Equal("b", Assert.Single(provider.Machines).OfferingName);
    }

    [Theory]
    [InlineData("Offerings:a:PricePerHour", "-1", "Fleet:Offerings:a:PricePerHour is -1; accepted: 0 to 1e6.")]
    [InlineData("Offerings:b:InterruptionsPerHour", "NaN", "Fleet:Offerings:b:InterruptionsPerHour is NaN; accepted: 0 to 3600.")]
    [InlineData("Offerings:a:MaxInstances", "-1", "Fleet:Offerings:a:MaxInstances is -1; accepted: 0 or more.")]
    [InlineData("Offerings:c:PricePerHour", "1", "Fleet:Offerings has 'c'; accepted: 'a', 'b', which the provider offers.")]
    public async Task BadSettingsAreNamed(string key, string value, string message)
    {
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(new() { [$"{Fleet}:{key}"] = value }));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatNoOfferingMayBeIsNamed()
    {
        var error = await Assert.ThrowsAsync<ContractViolationException>(() => StartAsync(new() { [$"{Fleet}:Offerings:a:InterruptionsPerHour"] = "1" }));
        Assert.Contains("'a', of market OnDemand, has 1 interruptions an hour", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PricesWithoutAFleetAreRefused()
    {
        foreach (var (key, value) in new[] { ("PriceFile", _file), ("Offerings:a:PricePerHour", "1") })
        {
            var error = await Assert.ThrowsAsync<OptionsValidationException>(
                () => ServingHost.StartAsync(m => m.UseBatchFunction(HistoryEngineTests.Double), new() { [$"{Fleet}:{key}"] = value }));
            Assert.Contains("as no instance provider is used", error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("", "line 1: the header is ''; expected are columns 'offering' and 'price_per_hour', and others.")]
    [InlineData("offering,price\n", "line 1: the header is 'offering,price'; expected are columns 'offering' and 'price_per_hour', and others.")]
    [InlineData("offering,price_per_hour\na\n", "line 2: it has 1 cells; expected are 2, as in the header.")]
    [InlineData("offering,price_per_hour\n,1\n", "line 2: it names no offering.")]
    [InlineData("offering,price_per_hour\na,\n", "line 2: 'a' has no price_per_hour.")]
    [InlineData("offering,price_per_hour\na,1\n\nb,-1\n", "line 4: 'b' has a price_per_hour of '-1'; expected is a number of at least 0, such as 0.0349.")]
    [InlineData("offering,price_per_hour\na,1\na,2\n", "line 3: there is an earlier line for 'a'; expected is one for each offering.")]
    public async Task ABadFileIsNamed(string text, string message)
    {
        File.WriteAllText(_file, text);
        var error = await Assert.ThrowsAsync<PriceFileException>(() => StartAsync(new() { [$"{Fleet}:PriceFile"] = _file }));
        Assert.Equal($"Price file '{_file}', {message}", error.Message);
    }

    [Fact]
    public async Task AMissingFileIsNamed()
    {
        var error = await Assert.ThrowsAsync<PriceFileException>(() => StartAsync(new() { [$"{Fleet}:PriceFile"] = _file + ".none" }));
        Assert.Contains(".none': it cannot be read", error.Message, StringComparison.Ordinal);
        Assert.Equal((_file + ".none", 0), (error.Path, error.Line));
    }
}
