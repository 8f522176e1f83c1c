using CsCheck;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

public sealed class PlannerTests
{
    private static OfferingState Offering(string name, decimal price, double capacity, int ready = 0, int max = 100, double delaySeconds = 60) => new(
        new InstanceOffering { Name = name, PricePerHour = price, MaxInstances = max, LaunchDelay = TimeSpan.FromSeconds(delaySeconds) },
        capacity, ready, 0, TimeSpan.FromSeconds(delaySeconds));

    private static (int[] Counts, string Explanation) Plan(IProvisioningPlanner planner, double[] peak, OfferingState[] offerings, int min = 0, int max = 100)
    {
        var forecast = new WorkloadForecast(peak.Length, TimeSpan.FromMinutes(1));
        peak.CopyTo(forecast.Peak);
        var plan = new FleetPlan(peak.Length, offerings.Length);
        planner.Plan(new ProvisioningContext
        {
            Now = DateTimeOffset.UnixEpoch,
            Forecast = forecast,
            Offerings = offerings,
            MinInstances = min,
            MaxInstances = max,
            SpilloverPricePerRequest = null,
            ServiceLevel = 0.99,
            MaxHourlySpend = null,
        }, plan);
        return (plan.Step(0).ToArray(), plan.Explanation.ToString());
    }

    [Fact]
    public void ALoadIsCoveredByWholeInstances() =>
        Assert.Equal([3], Plan(new GreedyPlanner(), [250, 250, 250], [Offering("a", 1, 100)]).Counts);

    [Fact]
    public void InstancesAreLaunchedOneLeadAheadOfALoad()
    {
        // A launch takes one step: at step 0 the load of step 1 counts, and that of step 2 does not.
        Assert.Equal([3], Plan(new GreedyPlanner(), [100, 300, 900], [Offering("a", 1, 100, ready: 1)]).Counts);
        // What is needed until then is kept.
        Assert.Equal([3], Plan(new GreedyPlanner(), [300, 100, 100], [Offering("a", 1, 100, ready: 3)]).Counts);
    }

    [Fact]
    public void ALongRunTakesTheBigMachineAndTheRestTheSmallOne()
    {
        // Per request the big one costs 8/1000, the small one 1/100. 1050/s: one big, then 50/s left: small 1/50, big 8/50.
        Assert.Equal([1, 1], Plan(new GreedyPlanner(), [1050, 1050, 1050], [Offering("small", 1, 100), Offering("big", 8, 1000)]).Counts);
    }

    [Fact]
    public void ARunningInstanceCostsNoLaunch()
    {
        // New "a" costs a launch of one step more than its one step of run: 2 x 1 against 1.5 x 1 for the running "b".
        Assert.Equal([1, 0], Plan(new GreedyPlanner(), [0, 100, 0], [Offering("a", 1, 100), Offering("b", 1.5m, 100)]).Counts);
        Assert.Equal([0, 1], Plan(new GreedyPlanner(), [0, 100, 0], [Offering("a", 1, 100), Offering("b", 1.5m, 100, ready: 1)]).Counts);
    }

    [Fact]
    public void BoundsAreKeptAndSaid()
    {
        var all = Plan(new GreedyPlanner(), [900, 900], [Offering("a", 1, 100)], max: 4);
        Assert.Equal([4], all.Counts);
        Assert.Contains("MaxInstances 4, 500 requests/s uncovered", all.Explanation);
        var one = Plan(new GreedyPlanner(), [900, 900], [Offering("a", 1, 100, max: 2)]);
        Assert.Equal([2], one.Counts);
        Assert.Contains("offerings' maxima, 700 requests/s uncovered", one.Explanation);
        Assert.Equal([0, 2], Plan(new GreedyPlanner(), [0, 0], [Offering("dear", 2, 100), Offering("cheap", 1, 50)], min: 2).Counts);
    }

    [Fact]
    public void OfferingsThatCannotKeepTheObjectiveAreLeftOutAndNamedWhereNoneCan()
    {
        Assert.Equal([0, 2], Plan(new GreedyPlanner(), [200, 200], [Offering("slow", 0.1m, 0), Offering("quick", 1, 100)]).Counts);
        var error = Assert.Throws<NoUsableOfferingException>(() => Plan(new GreedyPlanner(), [1, 1], [Offering("slow", 1, 0), Offering("slower", 1, 0)]));
        Assert.Contains("slow, slower", error.Message);
    }

    [Fact]
    public void AStaticFleetStaysAndNegativeCountsAreRefused()
    {
        Assert.Equal([2, 0], Plan(new StaticPlanner(2), [999, 0], [Offering("a", 1, 1), Offering("b", 1, 1)]).Counts);
        Assert.Throws<ArgumentOutOfRangeException>(() => new StaticPlanner(-1));
    }

    private static readonly Gen<(double[] Peak, (decimal Price, double Capacity, int Ready, int Max)[] Offerings, int Min, int Max)> GenProblem = Gen.Select(
        Gen.Double[0, 1000].Array[2, 6],
        Gen.Select(Gen.Decimal[0.1m, 10], Gen.Double[1, 300], Gen.Int[0, 5], Gen.Int[0, 8]).Array[1, 4],
        Gen.Int[0, 3], Gen.Int[3, 30]);

    [Fact]
    public void APlanIsWithinItsBoundsAndCoversTheLoadUnlessABoundForbids() => GenProblem.Sample(problem =>
    {
        var offerings = problem.Offerings.Select((o, i) => Offering($"{i}", o.Price, o.Capacity, o.Ready, o.Max)).ToArray();
        var (counts, explanation) = Plan(new GreedyPlanner(), problem.Peak, offerings, problem.Min, problem.Max);
        Assert.True(counts.Sum() <= problem.Max);
        Assert.All(counts.Zip(offerings), p => Assert.InRange(p.First, 0, p.Second.Offering.MaxInstances));
        if (!explanation.Contains("bound by"))
        {
            Assert.True(counts.Sum() >= problem.Min);
            Assert.True(counts.Zip(offerings, (n, o) => n * o.Capacity).Sum() >= Math.Max(problem.Peak[0], problem.Peak[1]) - 1e-6);
        }
    }, iter: 2000);
}
