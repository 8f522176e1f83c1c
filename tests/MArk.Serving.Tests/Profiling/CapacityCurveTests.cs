using MArk.Serving.Profiling;

namespace MArk.Serving.Tests.Profiling;

/// <summary>What an instance counts for, by how many the load needs. T_1 = 60 ms, T_16 = 62 ms; the objective is 120 ms.</summary>
public sealed class CapacityCurveTests
{
    private static readonly CapacityCurve Curve = CapacityCurve.Of(
        [(new LatencyProfile([Point(1, 60), Point(16, 62)]), 16)], TimeSpan.FromMilliseconds(120));

    private static LatencyPoint Point(int size, double ms) => new(size, TimeSpan.FromMilliseconds(ms), TimeSpan.FromMilliseconds(ms));

    [Fact]
    public void OneAloneCountsForWhatItServesAlone()
    {
        // 2 T_b within 120 ms is a request at a time.
        Assert.Equal(1 / 0.06, Curve.For(10).Capacity, 6);
        Assert.Equal(1, Curve.For(10).Service!.Value.BatchSize);
    }

    [Fact]
    public void SeveralCountForMoreButOneLessIsNeverEnough()
    {
        // For two, 1.84 T_b within 120 ms is a whole batch, 258/s; one alone has 16.7/s, so that a load of 50/s needs both.
        var (capacity, service) = Curve.For(50);
        Assert.InRange(capacity, 49, 50);
        Assert.Equal(16, service!.Value.BatchSize);
        Assert.Equal(16 / 0.062, Curve.For(390).Capacity, 6);
        Assert.Equal(16 / 0.062, Curve.For(10_000).Capacity, 6);
    }

    [Fact]
    public void WhatIsNotMeasuredIsNotKnown()
    {
        Assert.False(CapacityCurve.Of([], TimeSpan.FromMilliseconds(120)).IsMeasured);
        Assert.True(Curve.IsMeasured);
        Assert.Equal(100, CapacityCurve.Constant(100, null).For(1_000_000).Capacity);
    }
}
