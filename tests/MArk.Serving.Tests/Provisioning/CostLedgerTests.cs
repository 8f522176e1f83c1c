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
    public void TimeStoppedCostsTheStoppedPriceAndEachTimeStartedHasItsMinimum()
    {
        // 0.002 dollars a second, 0.0001 while it is stopped.
        var standby = new InstanceOffering
        {
            Name = "t", Market = InstanceMarket.Standby, PricePerHour = 7.2m, OnDemandPricePerHour = 9.0m, StoppedPricePerHour = 0.36m, MinimumBilling = TimeSpan.FromSeconds(60),
        };
        var ledger = new CostLedger();
        ledger.OnLaunched("a", standby, Noon);
        ledger.OnStarted("a", Noon.AddSeconds(50));
        ledger.OnStopped("a", Noon.AddSeconds(100));
        ledger.OnStopped("a", Noon.AddSeconds(500));
        Assert.Equal(0.200m + 0.090m, ledger.Summary(Noon.AddSeconds(1000)).StandbyCost);
        ledger.OnStarted("a", Noon.AddSeconds(1100));
        ledger.OnStopped("a", Noon.AddSeconds(1110));
        // Of ten seconds that it ran sixty are billed, and its storage from when it stopped.
        ledger.OnTerminated("a", Noon.AddSeconds(1210));
        ledger.OnStarted("a", Noon.AddSeconds(2000));
        ledger.OnStopped("b", Noon);
        var summary = ledger.Summary(Noon.AddSeconds(3600));
        Assert.Equal(0.200m + 0.100m + 0.120m + 0.010m, summary.StandbyCost);
        Assert.Equal((summary.StandbyCost, TimeSpan.FromSeconds(160), 1, 1, 1), (summary.InstanceCost, summary.InstanceTime, summary.Launched, summary.Terminated, summary.PeakInstances));
        // One at a time, for an hour, at 9 dollars.
        Assert.Equal(9.0m, summary.OnDemandPeakCost);
    }

    [Fact]
    public void OneThatIsFoundStoppedHasCostNothingElseYet()
    {
        var standby = new InstanceOffering { Name = "t", Market = InstanceMarket.Standby, PricePerHour = 7.2m, StoppedPricePerHour = 0.36m, MinimumBilling = TimeSpan.FromSeconds(60) };
        var ledger = new CostLedger();
        ledger.OnLaunched("a", standby, Noon, isStopped: true);
        var summary = ledger.Summary(Noon.AddSeconds(100));
        Assert.Equal((0.010m, TimeSpan.Zero, 0), (summary.StandbyCost, summary.InstanceTime, summary.PeakInstances));
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
