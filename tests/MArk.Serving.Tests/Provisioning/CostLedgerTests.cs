using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

public sealed class CostLedgerTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly InstanceOffering Offering = new() { Name = "o", PricePerHour = 3.6m, MinimumBilling = TimeSpan.FromSeconds(60) };

    [Fact]
    public void InstancesAreBilledByTheSecondWithAMinimumAndRunningOnesCount()
    {
        var ledger = new CostLedger();
        ledger.OnLaunched("short", Offering, Noon);
        ledger.OnLaunched("long", Offering, Noon);
        ledger.OnLaunched("long", Offering, Noon.AddSeconds(50));
        ledger.OnTerminated("short", Noon.AddSeconds(10));
        ledger.OnTerminated("short", Noon.AddSeconds(500));
        ledger.OnTerminated("never", Noon);
        ledger.OnSpilled(0.25m);
        ledger.OnSpilled(0.25m);
        var summary = ledger.Summary(Noon.AddSeconds(100));
        // 0.001 dollars a second: 60 s for the short one, 100 s so far for the long one.
        Assert.Equal(new CostSummary(0.160m, 0.50m, 2, TimeSpan.FromSeconds(160), 2, 1) { OnDemandCost = 0.160m, PeakInstances = 2, OnDemandPeakCost = 0.200m }, summary);
        Assert.Equal(0.660m, summary.Total);
    }

    [Fact]
    public void DollarsAreCountedByMarketAndSavingsAgainstTheOnDemandPeakAlwaysOn()
    {
        var spot = Offering with { Name = "s", Market = InstanceMarket.Spot, PricePerHour = 1.2m, OnDemandPricePerHour = 3.6m };
        var standby = new InstanceOffering { Name = "t", Market = InstanceMarket.Standby, PricePerHour = 0.36m, OnDemandPricePerHour = 3.6m };
        var ledger = new CostLedger();
        ledger.OnLaunched("a", Offering, Noon);
        ledger.OnLaunched("b", spot, Noon.AddSeconds(300));
        ledger.OnLaunched("c", standby, Noon.AddSeconds(400));
        ledger.OnTerminated("b", Noon.AddSeconds(600));
        ledger.OnTerminated("c", Noon.AddSeconds(600));
        var summary = ledger.Summary(Noon.AddSeconds(1000));
        Assert.Equal((1.000m, 0.100m, 0.020m), (summary.OnDemandCost, summary.SpotCost, summary.StandbyCost));
        Assert.Equal(1.120m, summary.InstanceCost);
        // Three for 1000 s at 0.001 dollars a second.
        Assert.Equal((3, 3.000m, 1.880m), (summary.PeakInstances, summary.OnDemandPeakCost, summary.Savings));
        ledger.OnSpilled(2);
        Assert.Equal(-0.120m, ledger.Summary(Noon.AddSeconds(1000)).Savings);
    }
}
