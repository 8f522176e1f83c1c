using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

public sealed class LatenessMarginTests
{
    private static readonly TimeSpan Slo = TimeSpan.FromMilliseconds(100);

    [Theory]
    [InlineData(0.5)]
    [InlineData(3)]
    public void RestsWhereHardlyAnyThatIsKeptComesLate(double meanMs)
    {
        // Batches take longer than expected by an exponentially distributed time.
        var margin = new LatenessMargin(Slo);
        var random = new Random(1);
        const int Settling = 100_000;
        const int Batches = 1_000_000;
        var late = 0;
        for (var i = -Settling; i < Batches; i++)
        {
            var isLate = TimeSpan.FromMilliseconds(-meanMs * Math.Log(1 - random.NextDouble())) > margin.Value;
            late += isLate && i >= 0 ? 1 : 0;
            margin.OnBatch(10, isLate ? 10 : 0);
        }
        Assert.InRange(late / (double)Batches, 0.8 * LatenessMargin.MayBeLate, 1.2 * LatenessMargin.MayBeLate);
    }

    [Fact]
    public void AFewBadBatchesAreEnough()
    {
        var margin = new LatenessMargin(Slo);
        for (var i = 0; i < 3; i++)
        {
            margin.OnBatch(8, 8);
        }
        Assert.InRange(margin.Value, 0.3 * Slo, 0.4 * Slo);
    }

    [Fact]
    public void StaysBetweenNothingAndHalfTheObjective()
    {
        var margin = new LatenessMargin(Slo);
        for (var i = 0; i < 100; i++)
        {
            margin.OnBatch(1, 1);
        }
        Assert.Equal(Slo / 2, margin.Value);
        for (var i = 0; i < 100_000; i++)
        {
            margin.OnBatch(1, 0);
        }
        Assert.Equal(TimeSpan.Zero, margin.Value);
    }

    [Fact]
    public void WhatWasGivenUpCountsWithTheNextBatch()
    {
        var (margin, other) = (new LatenessMargin(Slo), new LatenessMargin(Slo));
        margin.OnGivenUp();
        margin.OnGivenUp();
        margin.OnBatch(6, 0);
        other.OnBatch(8, 2);
        Assert.Equal(other.Value, margin.Value);
        margin.OnBatch(8, 0);
        Assert.True(margin.Value < other.Value);
    }

    [Fact]
    public void ABatchOfWhatWasNotCountedOnTeachesNothing()
    {
        var margin = new LatenessMargin(Slo);
        var before = margin.Value;
        margin.OnBatch(0, 0);
        Assert.Equal(before, margin.Value);
    }
}
