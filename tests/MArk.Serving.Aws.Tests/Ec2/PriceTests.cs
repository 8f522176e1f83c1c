using System.Net;
using MArk.Serving.Aws.Ec2;

namespace MArk.Serving.Aws.Tests.Ec2;

/// <summary>What machines cost: by the offering, else by the market, else by the bundled list.</summary>
public sealed class PriceTests
{
    private static Ec2Offering Unpriced(Ec2Offering offering)
    {
        offering.PricePerHour = null;
        return offering;
    }

    private static async Task<Dictionary<string, InstanceOffering>> PricedAsync(Ec2World world, params Ec2Offering[] offerings)
    {
        var provider = world.Provider(offerings);
        await provider.InitializeAsync(CancellationToken.None);
        return provider.Offerings.ToDictionary(o => o.Name);
    }

    private static DateTime At(int hour, int minute) => new(2026, 1, 5, hour, minute, 0, DateTimeKind.Utc);

    [Fact]
    public async Task ALookedUpPriceIsTheLatestOfTheCheapestZoneAndTheDearestOfTheTypes()
    {
        await using var world = await Ec2World.StartAsync();
        world.Stub.PageSize = 2;
        world.Stub.SpotPrices.AddRange(
        [
            ("c5.large", "us-east-1a", At(11, 50), "0.041"), ("c5.large", "us-east-1a", At(11, 10), "0.020"), ("c5.large", "us-east-1b", At(11, 40), "0.043"), ("c5.large", "us-east-1c", At(11, 40), "none"),
            ("m5.large", "us-east-1b", At(11, 0), "0.060"),
        ]);
        var priced = await PricedAsync(
            world, Unpriced(Ec2World.Spot("one", "c5.large")), Unpriced(Ec2World.Spot("two", "c5.large", "m5.large")), Unpriced(Ec2World.Spot("three", "c5.large", "c5.2xlarge")), Ec2World.Spot("set", "c5.large"));
        Assert.Equal((0.041m, 0.060m, 0.1496m, 0.1m), (priced["one"].PricePerHour, priced["two"].PricePerHour, priced["three"].PricePerHour, priced["set"].PricePerHour));
        Assert.Equal((0.085m, 0.096m), (priced["one"].OnDemandPricePerHour, priced["two"].OnDemandPricePerHour));
        var calls = world.Stub.CallsOf("DescribeSpotPriceHistory");
        Assert.Equal(3, calls.Count);
        Assert.Equal(("2026-01-05T11:00:00Z", "Linux/UNIX"), (calls[0].Form["StartTime"], calls[0].Form["ProductDescription.1"]));
        Assert.Empty(world.Log.Warnings);
    }

    [Theory]
    [InlineData("UnauthorizedOperation", HttpStatusCode.Forbidden, "do not allow ec2:DescribeSpotPriceHistory")]
    [InlineData("RequestLimitExceeded", HttpStatusCode.ServiceUnavailable, "RequestLimitExceeded")]
    public async Task WhereALookUpFailsThatIsSaidAndTheBundledListHolds(string code, HttpStatusCode status, string says)
    {
        await using var world = await Ec2World.StartAsync();
        world.Stub.Fail("DescribeSpotPriceHistory", code, status, "You are not authorized to perform this operation.");
        var priced = await PricedAsync(world, Unpriced(Ec2World.Spot()));
        Assert.Equal(0.0349m, priced["spot"].PricePerHour);
        var warning = Assert.Single(world.Log.Warnings);
        Assert.Contains(says, warning, StringComparison.Ordinal);
        Assert.Contains("an estimate of 2026-07-20", warning, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatNeedsNoLookUpIsNotLookedUp()
    {
        await using var world = await Ec2World.StartAsync();
        var priced = await PricedAsync(world, Unpriced(Ec2World.OnDemand("on demand", "c5.large", "c5.xlarge")), Unpriced(Ec2World.Standby()), Ec2World.Spot());
        Assert.Equal((0.17m, 0.085m, 0.1m), (priced["on demand"].PricePerHour, priced["standby"].PricePerHour, priced["spot"].PricePerHour));
        Assert.Null(priced["on demand"].OnDemandPricePerHour);
        var options = world.Options(Unpriced(Ec2World.Spot()));
        options.LookUpSpotPrices = false;
        var provider = world.Provider(options);
        await provider.InitializeAsync(CancellationToken.None);
        Assert.Equal(0.0349m, provider.Offerings[0].PricePerHour);
        Assert.Empty(world.Stub.CallsOf("DescribeSpotPriceHistory"));
    }

    [Fact]
    public async Task WhatElseThePlannerKnowsOfAnOffering()
    {
        await using var world = await Ec2World.StartAsync();
        var standby = Ec2World.Standby();
        (standby.StoppedPricePerHour, standby.ResumeDelay, standby.LaunchDelay, standby.MaxInstances) = (0.01m, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(70), 7);
        var often = Ec2World.Spot("often");
        often.InterruptionsPerHour = 2;
        var priced = await PricedAsync(world, standby, Ec2World.OnDemand(), Ec2World.Spot("spot", "c5.large", "c5.2xlarge"), often);
        Assert.Equal((0.01m, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(70), 7), (priced["standby"].StoppedPricePerHour, priced["standby"].ResumeDelay, priced["standby"].LaunchDelay, priced["standby"].MaxInstances));
        Assert.Equal((TimeSpan.Zero, 0.0), (priced["c5.large"].ResumeDelay, priced["c5.large"].InterruptionsPerHour));
        Assert.Equal((0.1 / 730, 2.0), (priced["spot"].InterruptionsPerHour, priced["often"].InterruptionsPerHour));
        Assert.All(priced.Values, o => Assert.Equal(TimeSpan.FromMinutes(1), o.MinimumBilling));
    }

    [Fact]
    public async Task ThatTheBundledListIsOfAnotherRegionIsSaid()
    {
        await using var world = await Ec2World.StartAsync();
        foreach (var offering in new[] { Ec2World.OnDemand(), Unpriced(Ec2World.Standby()) })
        {
            Assert.Empty(world.Log.Warnings);
            var options = world.Options(offering);
            options.UseClient(() => Ec2World.ClientOf(world.Stub.Address, region: "eu-west-1"));
            await world.Provider(options).InitializeAsync(CancellationToken.None);
        }
        Assert.Contains("of us-east-1, and the region is eu-west-1", Assert.Single(world.Log.Warnings), StringComparison.Ordinal);
    }
}
