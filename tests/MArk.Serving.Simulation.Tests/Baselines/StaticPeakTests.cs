using MArk.Serving.Batching;
using MArk.Serving.Simulation.Baselines;

namespace MArk.Serving.Simulation.Tests.Baselines;

public sealed class StaticPeakTests
{
    private static readonly TimeSpan Slo = TimeSpan.FromMilliseconds(50);

    private static LatencyProfile Profile(int maxBatch) => LatencyProfile.Linear(TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(0.5), maxBatch);

    private static SimulatedInstance Kind(string name, InstanceMarket market = InstanceMarket.OnDemand) => new(new InstanceOffering { Name = name, Market = market }, Profile(32));

    // 1524/s with batches, 182/s without.
    [Theory]
    [InlineData(32, 4000)]
    [InlineData(32, 7500)]
    [InlineData(1, 170)]
    [InlineData(1, 1800)]
    public void TheFewestAreHadThatKeepTheServiceLevelAtThePeak(int maxBatch, double rate)
    {
        var instances = StaticPeak.Instances(Profile(maxBatch), rate, Slo, maxBatch, 0.99);
        Assert.True(Attainment(instances) >= 0.985, $"{instances}: {Attainment(instances)}");
        Assert.True(Attainment(instances - 1) < 0.99, $"{instances - 1}: {Attainment(instances - 1)}");

        double Attainment(int count)
        {
            if (count == 0)
            {
                return 0;
            }
            var arrivals = new ArrivalTrace(TimeSpan.FromSeconds(1), [.. Enumerable.Repeat(rate, (int)Math.Ceiling(30_000 / rate))]).Arrivals(seed: 1);
            return ServingSimulator.Run(
                new SimulationSettings
                {
                    Slo = Slo,
                    MaxBatchSize = maxBatch,
                    CreatePolicy = _ => new SloAwareBatchPolicy(),
                    Fleet = [.. Enumerable.Repeat(new SimulatedInstance(new InstanceOffering { Name = "o" }, Profile(maxBatch)), count)],
                },
                arrivals).SloAttainment;
        }
    }

    [Fact]
    public void WithoutLoadOneIsHad() => Assert.Equal(1, StaticPeak.Instances(Profile(32), 0, Slo, 32, 0.99));

    [Fact]
    public void ThePlannerHasThemInTheColumnOfTheirOffering()
    {
        var planner = StaticPeak.CreatePlanner([Kind("first"), Kind("standby", InstanceMarket.Standby), Kind("second")], "second", 7500, Slo, 32, 0.99);
        var plan = new FleetPlan(1, 2);
        planner.Plan(default, plan);
        Assert.Equal([0, StaticPeak.Instances(Profile(32), 7500, Slo, 32, 0.99)], plan.Step(0).ToArray());
    }

    [Fact]
    public void BadInputIsNamed()
    {
        Assert.Contains("no offering 'third' to plan; accepted: first, second.", Assert.Throws<ArgumentException>(
            () => StaticPeak.CreatePlanner([Kind("first"), Kind("second"), Kind("third", InstanceMarket.Standby)], "third", 1, Slo, 32, 0.99)).Message);
        Assert.Contains("up to 5.5 ms, more than the objective of 5 ms", Assert.Throws<ArgumentException>(
            () => StaticPeak.Instances(Profile(32), 1, TimeSpan.FromMilliseconds(5), 32, 0.99)).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => StaticPeak.Instances(Profile(32), double.NaN, Slo, 32, 0.99));
        Assert.Throws<ArgumentOutOfRangeException>(() => StaticPeak.Instances(Profile(32), 1, Slo, 32, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => StaticPeak.Instances(Profile(32), 1, Slo, 0, 0.99));
    }
}
