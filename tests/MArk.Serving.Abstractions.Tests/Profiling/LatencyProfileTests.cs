namespace MArk.Serving.Tests.Profiling;

public sealed class LatencyProfileTests
{
    private static TimeSpan Ms(double ms) => TimeSpan.FromMilliseconds(ms);

    private static readonly LatencyProfile Profile = new(
        [new(1, Ms(10), Ms(12)), new(4, Ms(16), Ms(20)), new(8, Ms(40), Ms(41))]);

    [Fact]
    public void InterpolatesBetweenMeasuredSizes()
    {
        Assert.Equal(Ms(12), Profile.Mean(2));
        Assert.Equal(Ms(28), Profile.Mean(6));
        Assert.Equal(Ms(80), Profile.Mean(16));
    }

    [Fact]
    public void FindsTheSizeOfHighestThroughput()
    {
        // 1/10, 2/12, 3/14, 4/16 = 0.25 is best; 8/40 = 0.2.
        Assert.Equal(4, Profile.BestBatchSize(8));
        Assert.Equal(3, Profile.BestBatchSize(3));
    }

    [Theory]
    [InlineData(11.9, 0)]
    [InlineData(12, 1)]
    [InlineData(20, 4)]
    [InlineData(1000, 8)]
    public void FindsTheLargestSizeThatFits(double ms, int size) => Assert.Equal(size, Profile.LargestWithin(Ms(ms), 100));

    [Fact]
    public void CapacityIsZeroWhereNotEvenOneRequestFits()
    {
        Assert.Equal(0, Profile.CapacityWithin(Ms(11), 8));
        // 2 T_b within 40 ms allows a batch of 4 (20 ms): 4 / 16 ms.
        Assert.Equal(250, Profile.CapacityWithin(Ms(40), 8), 6);
    }

    [Fact]
    public void OfSeveralInstancesEachMayHaveLargerBatches()
    {
        // Of sixteen the next is free after half a batch: 3/2 T_b within 30 ms allows the 20 ms of a batch of 4, and 2 T_b, alone, 15 ms.
        Assert.Equal(Profile.Throughput(4), Profile.CapacityWithin(Ms(30), 8, 16), 6);
        Assert.True(Profile.CapacityWithin(Ms(30), 8, 1) < Profile.Throughput(4));
        Assert.Equal(Profile.CapacityWithin(Ms(30), 8), Profile.CapacityWithin(Ms(30), 8, 1));
        Assert.Equal(4, Profile.ServiceWithin(Ms(30), 8, 16)!.Value.BatchSize);
        Assert.Throws<ArgumentOutOfRangeException>(() => Profile.CapacityWithin(Ms(30), 8, 0));
    }

    [Theory]
    [InlineData(0.04, 0.01, 200)]       // 2 ms of them
    [InlineData(0.04, 0, 1024)]         // as long as a clock can tell
    [InlineData(40, 10, 16)]
    public void WhatBatchesTeachIsSeenAfterSixteenThatTookTwoMillisecondsTogetherOrMany(double before, double now, int batches)
    {
        var profile = LatencyProfile.Linear(Ms(before / 2), Ms(before / 64), 32);
        for (var i = 0; i < 8; i++)
        {
            profile.Observe(32, Ms(before / 2));
        }
        Assert.Equal(Ms(before / 2), profile.Mean(32));
        for (var i = 1; i < batches; i++)
        {
            profile.Observe(32, Ms(now));
            Assert.Equal(Ms(before / 2), profile.Mean(32));
        }
        profile.Observe(32, Ms(now));
        Assert.True(profile.Mean(32) < Ms(before / 2));
    }

    [Fact]
    public void PausesOfTheMachineInOneBatchOfTenMoveNeitherTheMeanNorTheHighPercentile()
    {
        var profile = LatencyProfile.Linear(Ms(5), Ms(0.5), 32);
        for (var i = 0; i < 640; i++)
        {
            profile.Observe(32, i % 10 == 3 ? Ms(60) : Ms(21));
            Assert.Equal((Ms(21), Ms(21)), (profile.Mean(32), profile.High(32)));
        }
    }

    [Fact]
    public void SurvivesJson()
    {
        var copy = LatencyProfile.FromJson(Profile.ToJson());
        Assert.Equal(Profile.Points, copy.Points);
    }

    [Theory]
    [InlineData("", "Not a latency profile")]
    [InlineData("{}", "points")]
    [InlineData("{\"points\":[]}", "at least one")]
    [InlineData("{\"points\":[{\"batchSize\":0,\"meanMs\":1,\"highMs\":1}]}", "Batch size 0")]
    [InlineData("{\"points\":[{\"batchSize\":1,\"meanMs\":-1,\"highMs\":1}]}", "-1 ms")]
    [InlineData("{\"points\":[{\"batchSize\":1,\"meanMs\":2,\"highMs\":1}]}", "high percentile")]
    [InlineData("{\"points\":[{\"batchSize\":2,\"meanMs\":1,\"highMs\":1},{\"batchSize\":2,\"meanMs\":1,\"highMs\":1}]}", "ascend")]
    public void RefusesWhatIsNoProfile(string json, string says) =>
        Assert.Contains(says, Assert.Throws<ProfileFormatException>(() => LatencyProfile.FromJson(json)).Message);

    [Fact]
    public void AMissingFileIsNamed() =>
        Assert.Contains("no-such.json", Assert.Throws<ProfileFormatException>(() => LatencyProfile.Load("no-such.json")).Message);

    [Fact]
    public void LearnsAShiftOfLevelAndIgnoresOneOutlier()
    {
        var profile = Profile.Clone();
        profile.Observe(4, Ms(16_000));
        Assert.InRange(profile.Mean(4).TotalMilliseconds, 16, 17);
        for (var i = 0; i < 200; i++)
        {
            profile.Observe(4, Ms(32));
        }
        Assert.InRange(profile.Mean(4).TotalMilliseconds, 31, 33);
        Assert.True(profile.High(4) >= profile.Mean(4));
        Assert.Equal(Ms(16), Profile.Mean(4));
    }

    [Fact]
    public void AnUnmeasuredProfileLearnsFromItsFirstBatches()
    {
        var profile = LatencyProfile.Unmeasured(32);
        Assert.False(profile.IsMeasured);
        profile.Observe(1, Ms(5));
        Assert.Equal(Ms(5), profile.Mean(1));
        Assert.True(profile.IsMeasured);
        profile.Observe(32, Ms(20));
        Assert.Equal(Ms(20), profile.Mean(32));
        Assert.Equal(32, profile.BestBatchSize(32));
    }
}
