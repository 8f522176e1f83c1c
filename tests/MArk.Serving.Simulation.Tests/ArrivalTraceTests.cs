using CsCheck;

namespace MArk.Serving.Simulation.Tests;

public sealed class ArrivalTraceTests
{
    private static ArrivalTrace Read(string text) => ArrivalTrace.Read(new StringReader(text), "day.csv");

    [Fact]
    public void SlotsAreReadAndThoseLeftOutAreGaps()
    {
        var trace = Read("offset_s,count\n10,5\n20,0\n30,7.5\n60,1\n");
        Assert.Equal(TimeSpan.FromSeconds(10), trace.SlotLength);
        Assert.Equal([5, 0, 7.5, 0, 0, 1], trace.Counts);
        Assert.Equal([false, false, false, true, true, false], Enumerable.Range(0, 6).Select(trace.IsGap));
        Assert.False(new ArrivalTrace(TimeSpan.FromSeconds(1), [0, 1]).IsGap(0));
        Assert.Equal((TimeSpan.FromMinutes(1), 13.5, 0.75), (trace.Duration, trace.Total, trace.PeakRate));
    }

    [Theory]
    [InlineData("", 1, "it is empty")]
    [InlineData("time,n\n0,1\n", 1, "the header is 'time,n'; expected is 'offset_s,count'")]
    [InlineData("offset_s,count\n", 1, "it has 0 slots")]
    [InlineData("offset_s,count\n0,1\n", 2, "it has 1 slots; expected are at least two")]
    [InlineData("offset_s,count\n0,1\n5;2\n", 3, "'5;2' is not two numbers")]
    [InlineData("offset_s,count\n0,1\n5,many\n", 3, "'5,many' is not two numbers")]
    [InlineData("offset_s,count\n0,1\n\n5,-2\n", 4, "the count is -2")]
    [InlineData("offset_s,count\n0,1\n5,NaN\n", 3, "the count is NaN")]
    [InlineData("offset_s,count\n0,1\n5,1\n5,1\n", 4, "the offset is 5; expected is a finite number of at least 0 that is more")]
    [InlineData("offset_s,count\n-1,1\n", 2, "the offset is -1")]
    [InlineData("offset_s,count\n0,0\n5,0\n", 3, "no slot has a request")]
    [InlineData("offset_s,count\n0,1\n0.001,0\n1000000,0\n", 4, "accepted are at most 10000000")]
    public void WhatIsNoTraceIsNamedByLine(string text, int line, string expected)
    {
        var error = Assert.Throws<TraceFormatException>(() => Read(text));
        Assert.Equal(("day.csv", line), (error.Path, error.Line));
        Assert.Contains(expected, error.Message);
        Assert.Contains($"line {line}", error.Message);
    }

    [Fact]
    public void AFileThatIsNotThereIsNamed()
    {
        var error = Assert.Throws<TraceFormatException>(() => ArrivalTrace.Load("/nowhere/day.csv"));
        Assert.Contains("/nowhere/day.csv", error.Message);
    }

    [Fact]
    public void BadCountsAreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new ArrivalTrace(TimeSpan.Zero, [1]));
        Assert.Throws<ArgumentException>(() => new ArrivalTrace(TimeSpan.FromSeconds(1), []));
        Assert.Contains("Slot 1 has NaN", Assert.Throws<ArgumentException>(() => new ArrivalTrace(TimeSpan.FromSeconds(1), [1, double.NaN])).Message);
    }

    [Fact]
    public void ReshapingKeepsTheShape() => Gen.Select(Gen.Double[0, 100].Array[1, 40], Gen.Int[1, 80]).Sample((counts, slots) =>
    {
        counts[0] = 50;
        var trace = new ArrivalTrace(TimeSpan.FromMinutes(1), counts);
        var reshaped = trace.Reshape(TimeSpan.FromSeconds(40), slots, 10);
        Assert.Equal(slots, reshaped.Counts.Count);
        Assert.Equal(10, reshaped.PeakRate, 5);
        // Every slot has the same share of all requests that its stretch of time had, at any factor.
        var half = slots / 2;
        var expected = counts.Select((c, i) => c * Math.Clamp((double)half * counts.Length / slots - i, 0, 1)).Sum() / counts.Sum();
        Assert.Equal(expected, reshaped.Counts.Take(half).Sum() / reshaped.Total, 6);
    });

    [Fact]
    public void ArrivalsFollowTheRateAscendAndRepeatWithTheSeed()
    {
        var trace = new ArrivalTrace(TimeSpan.FromSeconds(10), [1000, 0, 5000]);
        var arrivals = trace.Arrivals(3).ToList();
        Assert.Equal(arrivals, trace.Arrivals(3));
        Assert.NotEqual(arrivals, trace.Arrivals(4));
        Assert.Equal(arrivals, arrivals.Order());
        // Poisson: within five standard deviations.
        Assert.InRange(arrivals.Count(a => a < TimeSpan.FromSeconds(10)), 1000 - 158, 1000 + 158);
        Assert.Equal(0, arrivals.Count(a => a > TimeSpan.FromSeconds(10) && a < TimeSpan.FromSeconds(20)));
        Assert.InRange(arrivals.Count(a => a >= TimeSpan.FromSeconds(20)), 5000 - 353, 5000 + 353);
        Assert.True(arrivals[^1] < TimeSpan.FromSeconds(30));
    }
}
