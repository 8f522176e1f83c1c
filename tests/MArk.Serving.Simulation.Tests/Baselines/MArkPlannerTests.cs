using MArk.Serving.Provisioning;
using MArk.Serving.Simulation.Baselines;

namespace MArk.Serving.Simulation.Tests.Baselines;

public sealed class MArkPlannerTests
{
    private static OfferingState Offering(string name, decimal price, int ready = 0, double delaySeconds = 100, double capacity = 100) => new(
        new InstanceOffering { Name = name, PricePerHour = price }, capacity, ready, 0, TimeSpan.FromSeconds(delaySeconds));

    private static (int[] Counts, PlanExplanation Explanation) Plan(IProvisioningPlanner planner, double[] peak, params OfferingState[] offerings)
    {
        var forecast = new WorkloadForecast(peak.Length, TimeSpan.FromMinutes(1)) { Start = DateTimeOffset.UnixEpoch };
        peak.CopyTo(forecast.Peak);
        for (var t = 0; t < peak.Length; t++)
        {
            forecast.Mean[t] = peak[t] / 2;
        }
        var plan = new FleetPlan(peak.Length, offerings.Length);
        planner.Plan(new ProvisioningContext
        {
            Now = DateTimeOffset.UnixEpoch,
            Forecast = forecast,
            Offerings = offerings,
            MinInstances = 0,
            MaxInstances = 100,
            SpilloverPricePerRequest = null,
            ServiceLevel = 0.99,
            MaxHourlySpend = null,
        }, plan);
        Assert.Equal(plan.Step(0).ToArray(), plan.Step(plan.Horizon - 1).ToArray());
        return (plan.Step(0).ToArray(), plan.Explanation);
    }

    private static double[] Peak(int step, double rate, int horizon = 10) => [.. Enumerable.Range(0, horizon).Select(t => t == step ? rate : 0.0)];

    [Theory]
    [InlineData(10)]
    [InlineData(100)]
    [InlineData(1000)]
    public void ItLooksFiveMinutesAheadHoweverLongALaunchTakes(double delaySeconds)
    {
        var planner = new MArkPlanner();
        Assert.Equal([3], Plan(planner, Peak(5, 300), Offering("a", 1, delaySeconds: delaySeconds)).Counts);
        Assert.Equal([0], Plan(planner, Peak(6, 300), Offering("a", 1, delaySeconds: delaySeconds)).Counts);
        // With 60 s by itself, the greedy planner looks one step ahead.
        Assert.Equal([0], Plan(new GreedyPlanner(), Peak(5, 300), Offering("a", 1, delaySeconds: 60)).Counts);
    }

    [Fact]
    public void WhatIsNeededUntilThenIsKept()
    {
        for (var step = 0; step < 5; step++)
        {
            Assert.Equal([3], Plan(new MArkPlanner(), Peak(step, 300), Offering("a", 1, ready: 3)).Counts);
        }
    }

    [Theory]
    [InlineData(3.9, 0, 1)]
    [InlineData(4.1, 1, 0)]
    public void ALaunchCostsAsMuchAsThreeMinutes(double price, int a, int b) =>
        // Over one step, a new "a" costs 180 + 60 s at 1; the running "b" 60 s at its price.
        Assert.Equal([a, b], Plan(new MArkPlanner(), Peak(5, 100), Offering("a", 1), Offering("b", (decimal)price, ready: 1)).Counts);

    [Fact]
    public void ThePlanIsExplainedByTheLoadAtItsLead()
    {
        var explanation = Plan(new MArkPlanner(), Peak(5, 300), Offering("a", 1, ready: 2)).Explanation;
        Assert.Equal(new PlannedLoad(DateTimeOffset.UnixEpoch + MArkPlanner.Lead, 150, 0, 0), explanation.Load);
        Assert.Equal((2, 3), (explanation.Candidates[0].Active, explanation.Candidates[0].Planned));
    }

    [Fact]
    public void AHorizonShorterThanTheLeadIsLookedAtToItsEnd()
    {
        Assert.Equal([3], Plan(new MArkPlanner(), Peak(1, 300, horizon: 2), Offering("a", 1)).Counts);
        Assert.Equal([3], Plan(new MArkPlanner(), Peak(0, 300, horizon: 1), Offering("a", 1)).Counts);
    }

    [Fact]
    public void ItsMonitorMayLaunchAndItsFleetIsThePapers()
    {
        Assert.True(((IProvisioningPlanner)new MArkPlanner()).MayBeExceeded);
        var options = new FleetOptions { Horizon = 1, SloWindow = TimeSpan.Zero, ScaleInCooldown = TimeSpan.Zero };
        MArkPlanner.Configure(options);
        Assert.Equal((TimeSpan.FromMinutes(1), TimeSpan.FromSeconds(5), 60), (options.PlanInterval, options.SampleInterval, options.Horizon));
        Assert.Equal((TimeSpan.FromMinutes(5), TimeSpan.FromSeconds(30)), (options.ScaleInCooldown, options.SloWindow));
        Assert.Throws<NoUsableOfferingException>(() => Plan(new MArkPlanner(), Peak(0, 1), Offering("slow", 1, capacity: 0)));
    }
}
