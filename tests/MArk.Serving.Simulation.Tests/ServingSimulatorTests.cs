using MArk.Serving.Batching;

namespace MArk.Serving.Simulation.Tests;

public sealed class ServingSimulatorTests
{
    private static TimeSpan Ms(double ms) => TimeSpan.FromMilliseconds(ms);

    private static readonly InstanceOffering Dollar = new() { Name = "d", PricePerHour = 3.6m };

    // T_b = 5 + 0.5 b ms: 32 take 21 ms, 1524/s; one takes 5.5 ms, 182/s.
    private static SimulationSettings Settings(int instances, bool batching = true, SimulatedSpillover? spillover = null, double noise = 0) => new()
    {
        Slo = Ms(50),
        CreatePolicy = _ => batching ? new SloAwareBatchPolicy() : new NoBatchingPolicy(),
        Fleet = [.. Enumerable.Repeat(new SimulatedInstance(Dollar, LatencyProfile.Linear(Ms(5), Ms(0.5), 32)), instances)],
        Spillover = spillover,
        LatencyNoise = noise,
        Seed = 1,
    };

    private static IEnumerable<TimeSpan> Poisson(double rate, double seconds, int seed)
    {
        var random = new Random(seed);
        for (var t = 0.0; (t += -Math.Log(1 - random.NextDouble()) / rate) < seconds;)
        {
            yield return TimeSpan.FromSeconds(t);
        }
    }

    [Fact]
    public void OneRequestTakesItsBatchTime()
    {
        var result = ServingSimulator.Run(Settings(1), [Ms(10)]);
        Assert.Equal((1L, 1L, 1L), (result.Requests, result.InTime, result.Batches));
        Assert.InRange(result.P50.TotalMilliseconds, 5.5, 5.5 * 1.03);
        Assert.Equal(Ms(15.5), result.Duration);
        Assert.Equal(0.0000155m, result.TotalCost);
    }

    [Fact]
    public void BatchingSustainsWhatOneAtATimeCannot()
    {
        var batched = ServingSimulator.Run(Settings(1), Poisson(1000, 20, 1));
        var single = ServingSimulator.Run(Settings(1, batching: false), Poisson(1000, 20, 1));
        Assert.True(batched.SloAttainment > 0.999, $"{batched.SloAttainment}");
        Assert.InRange(batched.MeanBatch, 5, 32);
        Assert.True(single.SloAttainment < 0.3, $"{single.SloAttainment}");
    }

    [Fact]
    public void GoodputHoldsUnderTwiceTheCapacity()
    {
        // Capacity is 1524/s; the bouncer keeps late requests from taking it.
        var result = ServingSimulator.Run(Settings(1), Poisson(3000, 10, 2));
        Assert.True(result.InTime / 10.0 > 0.9 * 1524, $"{result.InTime / 10.0}/s in time");
    }

    [Theory]
    [InlineData(WhenUnreachable.ServeLate)]
    [InlineData(WhenUnreachable.Reject)]
    public void NearlyAllTheCapacityIsServedInTimeWhateverBecomesOfTheRest(WhenUnreachable whenUnreachable)
    {
        // 32 take 5 ms, 6,400/s, of which 95 % are asked for; batches take 10 % more or less than expected, and there are 20 ms.
        var settings = Settings(1, noise: 0.1) with { Slo = Ms(20), Fleet = [new SimulatedInstance(Dollar, LatencyProfile.Linear(Ms(0.84), Ms(0.13), 32))], WhenUnreachable = whenUnreachable };
        var result = ServingSimulator.Run(settings, Poisson(0.95 * 6400, 30, 2));
        Assert.True(result.SloAttainment > 0.999, $"{result.SloAttainment}");
    }

    [Fact]
    public void WhatCannotBeInTimeIsRefusedOrServedLate()
    {
        var refused = ServingSimulator.Run(Settings(1) with { WhenUnreachable = WhenUnreachable.Reject }, Poisson(3000, 10, 2));
        Assert.Equal(refused.Requests, refused.InTime + refused.Rejected);
        // With room for all of them nobody is refused, and the rest is late.
        var late = ServingSimulator.Run(Settings(1) with { WhenUnreachable = WhenUnreachable.ServeLate, MaxQueueLength = 100_000 }, Poisson(3000, 10, 2));
        Assert.Equal(0, late.Rejected);
        Assert.InRange((double)late.InTime / refused.InTime, 0.99, 1.01);
    }

    [Theory]
    [InlineData(1.2)]
    [InlineData(2)]
    [InlineData(4)]
    public void UnderOverloadHardlyAnyThatIsServedIsLateByAHair(double load)
    {
        // Batches take 10 % more or less than expected.
        var result = ServingSimulator.Run(Settings(1, noise: 0.1) with { Slo = Ms(100) }, Poisson(load * 1524, 30, 2));
        Assert.True(result.InTime / 30.0 > 0.997 * 1524, $"{result.InTime / 30.0}/s in time");
    }

    [Fact]
    public void SpilloverCoversABurst()
    {
        var burst = Poisson(500, 5, 3).Concat(Poisson(2500, 2, 4).Select(t => t + TimeSpan.FromSeconds(5)));
        var result = ServingSimulator.Run(Settings(1, spillover: new(Ms(30), 0.001m, 1000)), burst);
        Assert.True(result.SloAttainment > 0.995, $"{result.SloAttainment}");
        Assert.InRange(result.Spilled, 500, 4000);
        Assert.Equal(result.Spilled * 0.001m, result.SpilloverCost);
    }

    [Theory]
    [InlineData(12, 0.18, 31, 0.999)]
    [InlineData(30, 0.24, 23, 0.998)]
    public void WhereTheExcessIsSpilledBatchesStayFullAndHardlyAnythingIsLate(double spillMs, double spilled, double meanBatch, double inTime)
    {
        // A fifth more than the capacity, of which 1 - 1/1.2 = 16.7 % has to go; batches take 10 % more or less than expected. Where a spilled request takes so long that there is time
        // for nothing after a batch of 21 ms, more go, to be safe.
        var result = ServingSimulator.Run(Settings(1, spillover: new(Ms(spillMs), 0.001m, 1000), noise: 0.1), Poisson(1.2 * 1524, 60, 6));
        Assert.True(result.SloAttainment > inTime, $"{result.SloAttainment}");
        Assert.InRange(result.Spilled / (double)result.Requests, 0.16, spilled);
        Assert.True(result.MeanBatch > meanBatch, $"{result.MeanBatch}");
    }

    [Fact]
    public void TheSameSeedGivesTheSameResult()
    {
        Assert.Equal(
            Bytes.Of(ServingSimulator.Run(Settings(2, noise: 0.2), Poisson(1500, 5, 5))),
            Bytes.Of(ServingSimulator.Run(Settings(2, noise: 0.2), Poisson(1500, 5, 5))));
        Assert.NotEqual(
            ServingSimulator.Run(Settings(2, noise: 0.2), Poisson(1500, 5, 5)).P99,
            ServingSimulator.Run(Settings(2, noise: 0), Poisson(1500, 5, 5)).P99);
    }

    [Fact]
    public void EveryRequestIsAccountedFor()
    {
        var result = ServingSimulator.Run(Settings(1) with { MaxQueueLength = 20 }, Poisson(5000, 2, 6));
        Assert.True(result.Rejected > 0);
        Assert.Equal(result.Requests, result.Rejected + (long)Math.Round(result.MeanBatch * result.Batches));
    }

    [Fact]
    public void MinimumBillingIsPaid() =>
        Assert.Equal(3.6m / 60, ServingSimulator.Run(
            Settings(1) with { Fleet = [new(Dollar with { MinimumBilling = TimeSpan.FromMinutes(1) }, LatencyProfile.Linear(Ms(5), Ms(1), 4))] }, [Ms(1)]).TotalCost, 12);

    [Fact]
    public void BadInputIsNamed()
    {
        Assert.Contains("at least one instance", Assert.Throws<ArgumentException>(() => ServingSimulator.Run(Settings(0), [])).Message);
        Assert.Contains("must ascend", Assert.Throws<ArgumentException>(() => ServingSimulator.Run(Settings(1), [Ms(2), Ms(1)])).Message);
        Assert.Contains("MaxBatchSize is 0; accepted: at least 1.", Assert.Throws<ArgumentException>(() => ServingSimulator.Run(Settings(1) with { MaxBatchSize = 0 }, [])).Message);
    }

    [Fact]
    public void WhatASlowInstanceCannotDoInTimeIsLeftToAFasterOneAndNotGivenUp()
    {
        static LatencyProfile Profile(params (int Size, double Ms)[] points) => new([.. points.Select(p => new LatencyPoint(p.Size, Ms(p.Ms), Ms(p.Ms)))]);
        var fast = new SimulatedInstance(new InstanceOffering { Name = "fast" }, Profile((1, 670), (8, 750), (16, 964)));
        // One that is done in time only with what has just arrived.
        var slow = new SimulatedInstance(new InstanceOffering { Name = "slow" }, Profile((1, 1364), (2, 1500)));
        var result = ServingSimulator.Run(
            Settings(1) with { Slo = Ms(1400), MaxBatchSize = 16, Fleet = [.. Enumerable.Repeat(fast, 6), slow, slow] }, Workloads.Constant(TimeSpan.FromMinutes(20), 44).Arrivals(1));
        Assert.True(result.SloAttainment > 0.99, $"{result.SloAttainment}");
    }
}
