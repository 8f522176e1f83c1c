using MArk.Serving.Provisioning;
using MArk.Serving.Provisioning.Planning;
using static MArk.Serving.Tests.Provisioning.PlanningSituation;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>Spot and on-demand are mixed by what a spot machine is expected to cost, with its interruptions.</summary>
public sealed class SpotPlanningTests
{
    private static readonly OfferingState OnDemand = Offering("on-demand", 1, 100);

    private static OfferingState Spot(double price, double interruptions, double capacity = 100, int ready = 0)
    {
        var state = Offering("spot", price, capacity, ready);
        return state with { Offering = state.Offering with { Market = InstanceMarket.Spot, InterruptionsPerHour = interruptions } };
    }

    private static double[] Reckoned(PlanningSituation situation, double missPrice)
    {
        int[] usable = [.. Enumerable.Range(0, situation.Offerings.Length)];
        double[] prices = [.. situation.Offerings.Select(o => (double)o.Offering.PricePerHour)];
        return ReckonedPrices.WithInterruptions(situation.Context(), usable, prices, missPrice);
    }

    [Fact]
    public void AnInterruptionCostsTheLaunchOfWhatReplacesItAndTheRequestsThatMissMeanwhile()
    {
        var situation = new PlanningSituation { Load = Constant(100), Offerings = [Spot(0.3, 2), OnDemand] };
        // A minute of 1 dollar an hour, and 6000 requests at 1e-5 dollars: 0.016667 + 0.06, twice an hour.
        var prices = Reckoned(situation, 1e-5);
        Assert.Equal(0.3 + 2 * (1.0 / 60 + 0.06), prices[0], 12);
        Assert.Equal(1, prices[1]);
    }

    [Fact]
    public void ItIsReplacedByTheOtherForWhichThatIsLeastAsManyAsHaveItsCapacityAndByItsOwnWhereThereIsNone()
    {
        // Two of the small ones, a minute each, 12000 requests; the large one takes five minutes.
        var large = Offering("large", 3, 400, delay: 5);
        var situation = new PlanningSituation { Load = Constant(100), Offerings = [Spot(0.6, 1, capacity: 200), OnDemand, large] };
        Assert.Equal(0.6 + 2.0 / 60 + 12_000 * 1e-5, Reckoned(situation, 1e-5)[0], 12);
        // Where a miss costs next to nothing, half of a large one would do for less if it were not so slow: 0.5 x 3 x 5 min.
        Assert.Equal(0.6 + 2.0 / 60, Reckoned(situation, 0)[0], 12);
        Assert.Equal(0.3 + 4 * (0.3 / 60 + 6000 * 1e-5), Reckoned(new PlanningSituation { Load = Constant(100), Offerings = [Spot(0.3, 4)] }, 1e-5)[0], 12);
    }

    [Fact]
    public void ALowHazardIsWorthTheLowerPriceAndAHighOneIsNot()
    {
        // Spilled at 3 times its price: an interruption costs 1/60 dollar of launch and 60 s x 3 dollars an hour = 1/20 of spillover, 1/15 in all.
        // 0.3 + h / 15 = 1 at 10.5 an hour.
        var situation = new PlanningSituation { Load = Constant(300), SpilloverPrice = Times(3), Offerings = [Spot(0.3, 10), OnDemand] };
        Assert.Equal([3, 0], situation.Plan().Step(0));
        Assert.Equal([0, 3], (situation with { Offerings = [Spot(0.3, 11), OnDemand] }).Plan().Step(0));
    }

    [Fact]
    public void WithoutSpilloverAMissCostsThePenalty()
    {
        // 0.3 x the request on the cheapest, the spot machine at 0.3 dollars, over 0.01: 9 dollars an hour of capacity. An interruption: 1/60 + 9/60 = 1/6. 0.3 + h / 6 = 1 at 4.2 an hour.
        var situation = new PlanningSituation { Load = Constant(300), Offerings = [Spot(0.3, 4), OnDemand] };
        Assert.Equal([3, 0], situation.Plan().Step(0));
        Assert.Equal([0, 3], (situation with { Offerings = [Spot(0.3, 4.4), OnDemand] }).Plan().Step(0));
        // At a lower penalty, a quarter of a dollar an hour of capacity, it is 1/60 + 1/240 = 1/48: spot up to 33.6 an hour.
        var planner = new CostOptimalPlanner(new CostOptimalPlannerOptions { ViolationPenaltyPerRequest = Times(0.25) });
        Assert.Equal(0.3 + 30.0 / 48, ReckonedPrices.WithInterruptions((situation with { Offerings = [Spot(0.3, 30), OnDemand] }).Context(), [0, 1], [0.3, 1], Times(0.25))[0], 12);
        Assert.True((situation with { Offerings = [Spot(0.3, 30), OnDemand], Load = Constant(300) }).Plan(planner).Explanation.Candidates[0].DollarsPerMillionRequests < 1e6 * Times(1));
    }

    [Fact]
    public void SpotUpToItsMaximumAndOnDemandBeyondIt()
    {
        var spot = Spot(0.3, 1);
        var situation = new PlanningSituation { Load = Constant(300), SpilloverPrice = Times(3), Offerings = [spot with { Offering = spot.Offering with { MaxInstances = 2 } }, OnDemand] };
        Assert.Equal([2, 1], situation.Plan().Step(0));
    }

    [Fact]
    public void ABudgetIsSpentOnWhatIsBilled()
    {
        // Reckoned at 0.3 + 5/15 dollars each, and billed at 0.3: three are within a budget of 1.
        var situation = new PlanningSituation { Load = Constant(300), SpilloverPrice = Times(3), MaxHourlySpend = 1, Offerings = [Spot(0.3, 5), OnDemand] };
        var plan = situation.Plan();
        Assert.Equal([3, 0], plan.Step(0));
        Assert.Empty(plan.Explanation.Bounds);
    }

    [Fact]
    public void WhatTheInterruptionsAreExpectedToCostIsInTheExplanation()
    {
        var situation = new PlanningSituation { Load = Constant(100), SpilloverPrice = Times(3), Offerings = [Spot(0.3, 5, ready: 1), OnDemand] };
        // An hour of one at 0.3 + 5/15.
        Assert.Equal(0.3 + 5.0 / 15, situation.Plan().Explanation.ExpectedCost!.Instances, 9);
    }

    [Theory]
    [InlineData(InstanceMarket.OnDemand, 1.0, "'o', of market OnDemand, has 1 interruptions an hour; accepted is a finite number of 0 or more, and 0 where the market is not Spot.")]
    [InlineData(InstanceMarket.Spot, -1.0, "'o', of market Spot, has -1 interruptions an hour")]
    [InlineData(InstanceMarket.Spot, double.NaN, "has NaN interruptions an hour")]
    [InlineData(InstanceMarket.Standby, 0.0, "'o' is of market Standby; accepted are offerings that can be planned.")]
    [InlineData((InstanceMarket)9, 0.0, "'o' is of market 9; accepted: OnDemand, Spot, Standby.")]
    public void WhatAnOfferingMayNotSayIsRefusedByName(InstanceMarket market, double interruptions, string message)
    {
        var state = Offering("o", 1, 100);
        state = state with { Offering = state.Offering with { Market = market, InterruptionsPerHour = interruptions } };
        var error = Assert.Throws<InvalidProvisioningInputException>(() => new PlanningSituation { Load = Constant(100), Offerings = [state] }.Plan());
        Assert.Contains(message, error.Message);
        Assert.Equal("Offerings", error.Input);
    }

    [Fact]
    public void StoppedPriceAndResumeDelayAreOfStandbyOfferings()
    {
        var standby = new InstanceOffering { Name = "s", Market = InstanceMarket.Standby, PricePerHour = 1, StoppedPricePerHour = 0.1m, ResumeDelay = TimeSpan.FromSeconds(30) };
        Assert.Null(OfferingRules.Violation(standby));
        Assert.Contains("'s', of market OnDemand, costs 0.1 dollars an hour while it is stopped; accepted is 0 to its price, 1", OfferingRules.Violation(standby with { Market = InstanceMarket.OnDemand }));
        Assert.Contains("costs 2 dollars", OfferingRules.Violation(standby with { StoppedPricePerHour = 2 }));
        Assert.Contains("costs -1 dollars", OfferingRules.Violation(standby with { StoppedPricePerHour = -1 }));
        Assert.Contains("has a resume delay of 00:00:30", OfferingRules.Violation(standby with { Market = InstanceMarket.Spot, StoppedPricePerHour = 0 }));
        Assert.Contains("has a resume delay of -00:00:01", OfferingRules.Violation(standby with { ResumeDelay = TimeSpan.FromSeconds(-1) }));
    }
}
