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
        Assert.Equal(new CostSummary(0.160m, 0.50m, 2, TimeSpan.FromSeconds(160), 2, 1), summary);
        Assert.Equal(0.660m, summary.Total);
    }
}
