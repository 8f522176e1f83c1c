using MArk.Serving.Provisioning;
using static MArk.Serving.Tests.Provisioning.PlanningSituation;

namespace MArk.Serving.Tests.Provisioning;

public sealed class CostOptimalPlannerTests
{
    [Fact]
    public void ASteadyLoadIsCoveredByWholeInstances() =>
        Assert.Equal([3], new PlanningSituation { Load = Constant(250), Offerings = [Offering("a", 1, 100)] }.Plan().Step(0));

    [Fact]
    public void CapacityIsAddedWhileTheSpilloverItSavesIsWorthMoreThanItCosts()
    {
        // A tenth of the time 400/s, else 200/s: the third and fourth instance are used one minute in seven or so.
        var situation = new PlanningSituation { Load = Constant(200), Spread = [1, 1, 2], Offerings = [Offering("a", 1, 100, delay: 0)] };
        Assert.Equal([2], (situation with { SpilloverPrice = Times(2) }).Plan().Step(0));
        Assert.Equal([4], (situation with { SpilloverPrice = Times(10) }).Plan().Step(0));
        Assert.Equal([0], (situation with { SpilloverPrice = Times(0.5) }).Plan().Step(0));
    }

    [Fact]
    public void BurstsTooShortForTheFleetToFollowAreCoveredWhereThatIsCheaperThanToSpillThem()
    {
        // 200/s on average: 400/s half of the time, and nothing in the other half.
        var situation = new PlanningSituation { Load = Constant(200), Burstiness = 1, Offerings = [Offering("a", 1, 100, delay: 0)] };
        Assert.Equal([0], (situation with { SpilloverPrice = Times(1.8) }).Plan().Step(0));
        Assert.Equal([4], (situation with { SpilloverPrice = Times(2.2) }).Plan().Step(0));
        Assert.Equal([2], (situation with { SpilloverPrice = Times(2.2), Burstiness = 0.01 }).Plan().Step(0));
        // Without spillover too.
        Assert.Equal([4], situation.Plan().Step(0));
    }

    [Fact]
    public void WithoutSpilloverOnlyTheAllowedShareMisses()
    {
        var situation = new PlanningSituation { Load = Constant(200), Spread = [1, 1, 2], Offerings = [Offering("a", 1, 100, delay: 0)] };
        Assert.Equal([4], situation.Plan().Step(0));
        // The mean is 260: 200 of them at 0.3 of the time are a share of 0.23.
        Assert.Equal([2], (situation with { ServiceLevel = 0.75 }).Plan().Step(0));
        Assert.Equal([2], situation.Plan(new CostOptimalPlanner(new CostOptimalPlannerOptions { ViolationPenaltyPerRequest = Times(2) })).Step(0));
    }

    [Fact]
    public void DifferentOfferingsMakeUpAFleet()
    {
        // A request costs 1 on the small one and 0.8 on the big one; 1050/s leave the small one a rest of 50.
        var plan = new PlanningSituation { Load = Constant(1050), Offerings = [Offering("small", 1, 100), Offering("big", 8, 1000), Offering("dear", 2, 100)] }.Plan();
        Assert.Equal([1, 1, 0], plan.Step(0));
    }

    [Fact]
    public void ARampIsLaunchedAheadByTheLaunchDelay()
    {
        double[] load = [.. Constant(100, 10), .. Constant(500, 50)];
        var situation = new PlanningSituation { Load = load, Offerings = [Offering("a", 1, 100, ready: 1, delay: 4)] };
        var plan = situation.Plan();
        for (var t = 0; t < load.Length; t++)
        {
            Assert.Equal(t < 6 ? 1 : 5, plan.Step(t)[0]);
        }
        // Carried out step by step it is launched at that same step.
        for (var t = 0; t <= 6; t++)
        {
            var planned = (situation with { Load = load[t..] }).Plan().Step(0)[0];
            Assert.Equal(t < 6 ? 1 : 5, planned);
        }
    }

    [Fact]
    public void AMinimumBillingIsLaunchedForNoShortBurst()
    {
        double[] load = [.. Constant(100, 5), .. Constant(200, 3), .. Constant(100, 52)];
        var (always, hourly) = (Offering("always", 0.5, 100, ready: 1, max: 1), Offering("hourly", 1, 100, delay: 0, minimum: 60));
        var situation = new PlanningSituation { Load = load, SpilloverPrice = Times(3), Offerings = [always, Offering("a", 1, 100, delay: 0)] };
        Assert.Equal([1, 1], situation.Plan().Step(5));
        Assert.Equal([1, 0], (situation with { Offerings = [always, hourly] }).Plan().Step(5));
        // One that is billed by the minute is taken for it, though it is dearer.
        var both = (situation with { Offerings = [always, hourly, Offering("b", 1.5, 100, delay: 0)] }).Plan();
        Assert.Equal([1, 0, 1], both.Step(5));
        Assert.Equal([1, 0, 0], both.Step(0));
    }

    [Fact]
    public void OneThatHasPaidItsMinimumGoesInPlaceOfOneThatHasNot()
    {
        // Both are billed for an hour once launched: the running one has paid, and goes when the burst is over.
        double[] load = [.. Constant(100, 5), .. Constant(200, 3), .. Constant(100, 52)];
        var plan = new PlanningSituation { Load = load, SpilloverPrice = Times(3), Offerings = [Offering("a", 1, 100, ready: 1, delay: 0, minimum: 60)] }.Plan();
        Assert.Equal([1, 2, 1], new[] { 0, 5, 8 }.Select(t => plan.Step(t)[0]));
    }

    [Fact]
    public void WhatRunsIsKeptUntilWhatIsCheaperServes()
    {
        var dear = Offering("dear", 3, 100, ready: 2);
        var cheap = Offering("cheap", 1, 100, delay: 3);
        var situation = new PlanningSituation { Load = Constant(200), Offerings = [dear, cheap] };
        Assert.Equal([2, 2], situation.Plan().Step(0));
        var coming = cheap with { Launching = 2, LaunchingReadyIn = 2 * Minute };
        Assert.Equal([2, 2], (situation with { Offerings = [dear, coming] }).Plan().Step(0));
        Assert.Equal([0, 2], (situation with { Offerings = [dear, cheap with { Ready = 2 }] }).Plan().Step(0));
    }

    [Fact]
    public void AHorizonShorterThanALaunchIsContinued()
    {
        var situation = new PlanningSituation { Load = Constant(500, 3), Offerings = [Offering("a", 1, 100, ready: 1, delay: 10)] };
        Assert.Equal([5], situation.Plan().Step(0));
        Assert.Equal([2], (situation with { Load = Constant(0, 3), Min = 2 }).Plan().Step(0));
    }

    [Fact]
    public void RequestsThatWaitTooLongArePricedSoThatASmallFleetHasMoreToSpare()
    {
        // One batch of 1 in 10 ms; another 10 ms may be waited.
        var service = new ServicePoint(1, TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(10));
        int Planned(double load, ServicePoint? how) =>
            new PlanningSituation { Load = Constant(load), Offerings = [Offering("a", 1, 100) with { Service = how }] }.Plan().Step(0)[0];
        Assert.Equal(1, Planned(95, null));
        Assert.InRange(Planned(95, service), 2, 3);
        Assert.InRange(Planned(9500, service), 95, 97);
        // Batches of 32 smooth what arrives.
        Assert.Equal(1, Planned(80, new ServicePoint(32, TimeSpan.FromMilliseconds(320), TimeSpan.FromMilliseconds(320))));
    }

    [Fact]
    public void FreeInstancesAreHadOnlyWhereTheyAreOfUse()
    {
        Assert.Equal([3], new PlanningSituation { Load = Constant(250), Offerings = [Offering("free", 0, 100, ready: 9)] }.Plan().Step(0));
        Assert.Equal([3], new PlanningSituation { Load = Constant(250), SpilloverPrice = Times(5), Offerings = [Offering("free", 0, 100)] }.Plan().Step(0));
        Assert.Equal([3], new PlanningSituation { Load = Constant(250), SpilloverPrice = 0, Offerings = [Offering("free", 0, 100)] }.Plan().Step(0));
        Assert.Equal([3, 0], new PlanningSituation { Load = Constant(250), Offerings = [Offering("free", 0, 100), Offering("paid", 1, 100)] }.Plan().Step(0));
    }

    [Fact]
    public void OfferingsThatCannotKeepTheObjectiveAreLeftOutAndNamedWhereNoneCan()
    {
        Assert.Equal([0, 2], new PlanningSituation { Load = Constant(200), Offerings = [Offering("slow", 0.1, 0, ready: 3), Offering("quick", 1, 100)] }.Plan().Step(0));
        var error = Assert.Throws<NoUsableOfferingException>(() => new PlanningSituation { Load = Constant(1), Offerings = [Offering("slow", 1, 0), Offering("slower", 1, 0)] }.Plan());
        Assert.Contains("slow, slower", error.Message);
    }

    [Fact]
    public void ABudgetIsAHardStopThatSaysWhatItRefused()
    {
        var situation = new PlanningSituation { Load = Constant(800), Offerings = [Offering("small", 1, 100, ready: 3), Offering("big", 4, 500)], MaxHourlySpend = 4 };
        var plan = situation.Plan();
        Assert.Equal(4, plan.Step(0)[0] + 4 * plan.Step(0)[1]);
        var bound = Assert.Single(plan.Explanation.Bounds);
        Assert.Equal(PlanBoundKind.HourlySpend, bound.Kind);
        Assert.Contains("MaxHourlySpend 4 dollars: refused", bound.Text);
        Assert.Equal([1, 0], (situation with { Min = 3, MaxHourlySpend = 1 }).Plan().Step(0));
        Assert.Equal([0, 0], (situation with { MaxHourlySpend = 0 }).Plan().Step(0));
    }

    [Fact]
    public void BoundsAreKeptAndSaid()
    {
        var situation = new PlanningSituation { Load = Constant(900), Offerings = [Offering("a", 1, 100)] };
        Check(situation with { Max = 4 }, 4, PlanBoundKind.MaxInstances, "MaxInstances 4: refused 5 x a");
        Check(situation with { Offerings = [Offering("a", 1, 100, max: 2)] }, 2, PlanBoundKind.OfferingMaximum, "the maximum of a, 2: refused 7");
        Check(situation with { Load = Constant(0), Min = 3 }, 3, PlanBoundKind.MinInstances, "MinInstances 3: 0 would do");
        Assert.Empty((situation with { Max = 9, Min = 9 }).Plan().Explanation.Bounds);

        static void Check(PlanningSituation situation, int expected, PlanBoundKind kind, string text)
        {
            var plan = situation.Plan();
            Assert.Equal([expected], plan.Step(0));
            var bound = Assert.Single(plan.Explanation.Bounds);
            Assert.Equal(kind, bound.Kind);
            Assert.Contains(text, bound.Text);
            Assert.Contains("bound by " + text, plan.Explanation.ToString());
        }
    }

    [Fact]
    public void APlanSaysTheForecastItUsedTheCandidatesAndWhatItCosts()
    {
        double[] load = [.. Constant(100, 2), .. Constant(200, 58)];
        var plan = new PlanningSituation
        {
            Load = load, Spread = [0.5, 1, 1.5], SpilloverPrice = Times(4), Offerings = [Offering("a", 1, 100, ready: 1, delay: 2), Offering("slow", 1, 0)],
        }.Plan();
        var said = plan.Explanation;
        Assert.Equal(new PlannedLoad(DateTimeOffset.UnixEpoch + 2 * Minute, 200, 100, 300), said.Load);
        Assert.Equal(["a", "slow"], said.Candidates.Select(c => c.Offering));
        Assert.Equal((1, plan.Step(0)[0], 100.0), (said.Candidates[0].Active, said.Candidates[0].Planned, said.Candidates[0].Capacity));
        // 1 dollar for 360,000 requests, and two minutes of sixty to launch.
        Assert.Equal(1e6 / 360_000 * 62 / 60, said.Candidates[0].DollarsPerMillionRequests!.Value, 6);
        Assert.Null(said.Candidates[1].DollarsPerMillionRequests);
        Assert.Equal(said.ExpectedCost!.Instances + said.ExpectedCost.Launches + said.ExpectedCost.Misses, said.ExpectedCost.Total);
        Assert.True(said.ExpectedCost is { Instances: > 0, Launches: > 0, Misses: > 0 });
        Assert.Contains("forecast for 1970-01-01 00:02:00Z", said.ToString());
    }

    public static TheoryData<string, string, Func<PlanningSituation, PlanningSituation>> Bad => new()
    {
        { "Forecast", "NaN requests/s at quantile 0.1 of step 1; accepted is a finite number not below 0", s => s with { Load = [1, double.NaN] } },
        { "Forecast", "0.5 requests/s at quantile 0.5 of step 0; accepted is a finite number not below 1", s => s with { Spread = [1, 0.5, 1] } },
        { "Offerings", "accepted is at least 1", s => s with { Offerings = [] } },
        { "Offerings", "'a' has a capacity of -1 requests/s", s => s with { Offerings = [Offering("a", 1, -1)] } },
        { "Offerings", "'a' has a capacity of Infinity requests/s", s => s with { Offerings = [Offering("a", 1, double.PositiveInfinity)] } },
        { "Offerings", "'a' has a price of -1 dollars an hour; accepted is 0 or more", s => s with { Offerings = [Offering("a", -1, 1)] } },
        { "Offerings", "'a' has a launch delay of -00:01:00; accepted is 00:00:00 or more", s => s with { Offerings = [Offering("a", 1, 1, delay: -1)] } },
        { "Offerings", "'a' has -1 instances that serve", s => s with { Offerings = [Offering("a", 1, 1, ready: -1)] } },
        { "Offerings", "accepted is a batch of 1 or more", s => s with { Offerings = [Offering("a", 1, 1) with { Service = new ServicePoint(0, Minute, Minute) }] } },
        { "MinInstances", "-1; accepted is 0 or more", s => s with { Min = -1 } },
        { "MaxInstances", "1; accepted is MinInstances, 2, or more", s => s with { Min = 2, Max = 1 } },
        { "ServiceLevel", "1; accepted is more than 0 and less than 1", s => s with { ServiceLevel = 1 } },
        { "SpilloverPricePerRequest", "-1; accepted is 0 to 1e9, or nothing", s => s with { SpilloverPrice = -1 } },
        { "Burstiness", "-1; accepted is a finite number of 0 or more", s => s with { Burstiness = -1 } },
        { "Burstiness", "NaN; accepted is a finite number of 0 or more", s => s with { Burstiness = double.NaN } },
        { "MaxHourlySpend", "-1; accepted is 0 or more, or nothing", s => s with { MaxHourlySpend = -1 } },
    };

    [Theory]
    [MemberData(nameof(Bad))]
    public void WhatCannotBePlannedFromIsNamedWithWhatIsAccepted(string input, string message, Func<PlanningSituation, PlanningSituation> spoil)
    {
        var error = Assert.Throws<InvalidProvisioningInputException>(() => spoil(new PlanningSituation { Load = [1, 1], Offerings = [Offering("a", 1, 1)] }).Plan());
        Assert.Equal(input, error.Input);
        Assert.Contains(message, error.Message);
    }

    [Fact]
    public void APlanOfAnotherSizeAndASettingOutsideItsRangeAreRefused()
    {
        var situation = new PlanningSituation { Load = [1, 1], Offerings = [Offering("a", 1, 1)] };
        var error = Assert.Throws<InvalidProvisioningInputException>(() => new CostOptimalPlanner().Plan(situation.Context(), new FleetPlan(3, 1)));
        Assert.Contains("it has 3 steps of 1 offerings; accepted are 2 steps of 1", error.Message);
        Assert.Contains("accepted is a finite number of more than 0", Assert.Throws<ArgumentException>(() => new CostOptimalPlanner(new() { ViolationPenaltyPerRequest = 0 })).Message);
    }

    [Theory]
    [InlineData(9, 1)]
    [InlineData(9, 0)]
    [InlineData(0, 1)]
    public void ALargeInstanceGivesWayToTheSmallOnesThatAreNeededInItsPlace(int small, int large)
    {
        // Nine of 4.75/s at 0.765 dollars an hour do for 40/s; the large one serves 66/s, for 0.90.
        var plan = new FleetPlan(60, 2);
        var forecast = new WorkloadForecast(60, TimeSpan.FromMinutes(1));
        forecast.Mean.Fill(40);
        forecast.Peak.Fill(40);
        for (var level = 0; level < forecast.Levels.Length; level++)
        {
            forecast.Quantile(level).Fill(40);
        }
        var delay = TimeSpan.FromSeconds(100);
        new CostOptimalPlanner().Plan(
            new ProvisioningContext
            {
                Now = DateTimeOffset.UnixEpoch,
                Forecast = forecast,
                Offerings = new OfferingState[]
                {
                    new(new InstanceOffering { Name = "small", PricePerHour = 0.085m, LaunchDelay = delay }, 4.75, small, 0, delay),
                    new(new InstanceOffering { Name = "large", PricePerHour = 0.9m, LaunchDelay = delay }, 66, large, 0, delay),
                },
                MinInstances = 1,
                MaxInstances = 1000,
                SpilloverPricePerRequest = 0.000019,
                ServiceLevel = 0.98,
                MaxHourlySpend = null,
            },
            plan);
        Assert.Equal([9, 0], plan.Step(30).ToArray());
    }
}
