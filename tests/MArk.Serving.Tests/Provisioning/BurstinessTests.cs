using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>How bursty arrivals are: counted in windows of a slot, remembered, and told to the planner.</summary>
public sealed class BurstinessTests
{
    private static readonly DateTimeOffset Noon = new(2024, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Slot = TimeSpan.FromSeconds(5);

    /// <summary>What a slot says whose requests came at these seconds, on windows of a second.</summary>
    private static double Of(params IEnumerable<double> seconds)
    {
        var counter = new ArrivalCounter(Slot, Noon, TimeSpan.FromSeconds(1));
        foreach (var second in seconds)
        {
            counter.Add(Noon.AddSeconds(second), 1);
        }
        Assert.True(counter.TryTakeFinished(Noon + Slot, out var sample));
        return sample.Burstiness;
    }

    [Fact]
    public void AllInOneWindowOfFiveIsAVariationOfFour() => Assert.Equal(4, Of(1.0, 1.2, 1.4, 1.9), 12);

    [Fact]
    public void TheLastWindowCountsToo() => Assert.Equal(4, Of(4.1, 4.5, 4.99), 12);

    [Fact]
    public void OfTwoInEachWindowAPairIsRarerThanByChance() => Assert.Equal(5 * 10 / 90.0 - 1, Of(Enumerable.Range(0, 10).Select(i => 0.25 + i / 2.0)), 12);

    [Fact]
    public void OfFewerThanTwoRequestsNothingIsSaid() => Assert.Equal((0, 0), (Of(), Of(3.0)));

    [Fact]
    public void ASlotNoLongerThanAWindowSaysNothing()
    {
        var counter = new ArrivalCounter(Slot, Noon, TimeSpan.FromSeconds(4));
        counter.Add(Noon, 100);
        Assert.True(counter.TryTakeFinished(Noon + Slot, out var sample));
        Assert.Equal((100L, 0.0), (sample.Count, sample.Burstiness));
    }

    [Theory]
    [InlineData(1, 0.02)]
    [InlineData(3, 2)]
    [InlineData(5, 4)]
    public void WhatComesInEveryNthWindowVariesByNLessOne(int n, double expected)
    {
        // A Poisson process of 300/s on average, that is on in every n-th second.
        var (random, counter, meter) = (new Random(1), new ArrivalCounter(Slot * 3, Noon, TimeSpan.FromSeconds(1)), new BurstMeter());
        for (var at = 0.0; (at += -Math.Log(1 - random.NextDouble()) / 300) < 900;)
        {
            // Of the time that it is on, the second of each n seconds.
            counter.Add(Noon.AddSeconds(Math.Floor(at) * n % 900 + at % 1), 1);
            while (counter.TryTakeFinished(Noon.AddSeconds(Math.Floor(at) * n % 900), out var sample))
            {
                meter.Observe(sample);
            }
            if (at * n > 900)
            {
                break;
            }
        }
        Assert.InRange(meter.Value, expected - 0.02 - 0.05 * expected, expected + 0.02);
    }

    [Fact]
    public void ItIsRememberedForMinutesAndOneSlotOfFewSaysLittle()
    {
        var meter = new BurstMeter();
        meter.Observe(new ArrivalSample(Noon, Slot, 3) { Burstiness = 4 });
        Assert.InRange(meter.Value, 0, 0.01);
        for (var i = 0; i < 200; i++)
        {
            meter.Observe(new ArrivalSample(Noon, Slot, 1000) { Burstiness = 2 });
        }
        Assert.Equal(2, meter.Value, 0.01);
        for (var i = 0; i < 60; i++)
        {
            meter.Observe(new ArrivalSample(Noon, Slot, 1000) { Burstiness = -0.001 });
        }
        Assert.InRange(meter.Value, 0.9, 1.1);
        for (var i = 0; i < 2000; i++)
        {
            meter.Observe(new ArrivalSample(Noon, Slot, 1000) { Burstiness = -0.001 });
        }
        Assert.Equal(0, meter.Value);
    }

    [Fact]
    public void ThePlannerIsTold()
    {
        var world = new FleetWorld(new FleetSettings { Fleet = "m" }, [new InstanceOffering { Name = "a", PricePerHour = 1 }]);
        for (var i = 0; i < 200; i++)
        {
            world.Arrive(1000, burstiness: 2);
            world.Advance(5);
        }
        world.Tick(1);
        Assert.Equal(2, world.Planner.Burstiness, 0.01);
    }
}
