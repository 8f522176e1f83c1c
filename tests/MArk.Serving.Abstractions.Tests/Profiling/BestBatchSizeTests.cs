namespace MArk.Serving.Tests.Profiling;

/// <summary>Which size is chosen while batches run on a machine whose speed changes.</summary>
public sealed class BestBatchSizeTests
{
    private const int Largest = 32;
    private const int Batches = 6000;

    private static TimeSpan Ms(double ms) => TimeSpan.FromMilliseconds(ms);

    /// <summary>A model that takes so long for batches of up to 16, and per item beyond, as one of 32 does.</summary>
    private static double Time(int size, double of16, double of32) =>
        size <= 16 ? of16 * (0.7 + 0.3 * size / 16) : of16 + (of32 - of16) * (size - 16) / 16;

    private static LatencyProfile Measured(double of16, double of32) => new(
        [.. LatencyProfile.ProbeSizes(Largest).Select(size => new LatencyPoint(size, Ms(Time(size, of16, of32)), Ms(Time(size, of16, of32))))]);

    /// <summary>A closed loop with more callers than a batch holds: every batch is as large as the profile has it.</summary>
    private static Dictionary<int, int> Serve(LatencyProfile profile, double of16, double of32, Func<double> slowness)
    {
        var sizes = new Dictionary<int, int>();
        for (var batch = 0; batch < Batches; batch++)
        {
            var size = profile.BestBatchSize(Largest);
            sizes[size] = sizes.GetValueOrDefault(size) + 1;
            profile.Observe(size, Ms(slowness() * Time(size, of16, of32)));
        }
        return sizes;
    }

    /// <summary>A machine that is at times up to twice as slow, for some tens of batches each, and no two batches take quite as long.</summary>
    private static Func<double> Unsteady(int seed)
    {
        var random = new Random(seed);
        var state = 1.0;
        return () =>
        {
            state = random.NextDouble() < 1 / 30.0 ? 1 + random.NextDouble() : state;
            return state * (1 + 0.06 * random.NextDouble()) * (random.NextDouble() < 0.03 ? 3 : 1);
        };
    }

    [Theory]
    [InlineData(2.0, 3.6, 32)]      // 1.11 times the rate of 16
    [InlineData(2.0, 4.4, 16)]      // 0.91
    public void TheFasterSizeIsFoundThoughTheMachineChangesByMoreThanTheSizesDiffer(double of16, double of32, int faster)
    {
        for (var seed = 0; seed < 20; seed++)
        {
            // At first the other seemed faster, by a tenth.
            var sizes = Serve(Measured(2, faster == 32 ? 4.4 : 3.6), of16, of32, Unsteady(seed));
            Assert.True(sizes[faster] > 0.8 * Batches, $"seed {seed}: {string.Join(", ", sizes)}");
        }
    }

    [Fact]
    public void TrialsOfASizeThatIsSlowerTakeNextToNothing()
    {
        var sizes = Serve(Measured(2, 3.7), 2, 3.7, () => 1);
        Assert.True(sizes[32] > 0.96 * Batches, string.Join(", ", sizes));
        Assert.InRange(sizes[16], 1, 0.04 * Batches);
    }

    [Fact]
    public void ASizeThatIsSlowerByFarIsNotTried() => Assert.Equal([32], Serve(Measured(2, 3), 2, 3, () => 1).Keys);

    /// <summary>Between two measured sizes the profile guesses, and batches between them teach of the lower: the size that is hoped for would never be run.</summary>
    [Fact]
    public void ASizeBetweenTwoMeasuredOnesIsNotRunInTheHopeThatTheHigherIsFaster()
    {
        var sizes = Serve(Measured(2, 4.1), 2, 4.1, () => 1);
        Assert.Equal([16, 32], sizes.Keys.Order());
    }

    [Fact]
    public void ASizeThatNeverComesUpDoesNotKeepTheOthersFromBeingTried()
    {
        // As the profile has it, all but the smallest serve as fast.
        var profile = new LatencyProfile([.. LatencyProfile.ProbeSizes(Largest).Select(size => new LatencyPoint(size, Ms(1 + size), Ms(1 + size)))]);
        var sizes = new HashSet<int>();
        for (var batch = 0; batch < Batches; batch++)
        {
            var size = profile.BestBatchSize(15);       // more never wait
            sizes.Add(size);
            profile.Observe(size, Ms(1 + size));
        }
        Assert.Contains(8, sizes);
        Assert.DoesNotContain(sizes, size => size > 15);
    }

    [Fact]
    public void WhatACopyLearnsIsItsOwn()
    {
        var profile = Measured(2, 4.4);
        Serve(profile, 2, 3.6, Unsteady(7));
        var (points, best) = (profile.Points, profile.BestBatchSize(Largest));
        Assert.NotEqual(32, Serve(profile.Clone(), 2, 6, Unsteady(8)).MaxBy(size => size.Value).Key);
        Assert.Equal(points, profile.Points);
        Assert.Equal(best, profile.BestBatchSize(Largest));
    }
}
