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
    private static Dictionary<int, int> Serve(LatencyProfile profile, double of16, double of32, Func<double> slowness, int batches = Batches)
    {
        var sizes = new Dictionary<int, int>();
        for (var batch = 0; batch < batches; batch++)
        {
            var size = profile.NextBatchSize(Largest);
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

    /// <summary>Batches of 16 take a quarter longer right after some of 32, and serve a twentieth more than those only when they run in a row; as measured on a machine whose caches others use too.</summary>
    [Fact]
    public void ASizeIsComparedAsItRunsInARowAndNotRightAfterAnother()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var slowness = Unsteady(seed);
            // As a warm-up in which the sizes take turns has it.
            var profile = Measured(2, 3.6);
            var sizes = new Dictionary<int, int>();
            int last = 0, inRow = 0;
            for (var batch = 0; batch < 6 * Batches; batch++)
            {
                var size = profile.NextBatchSize(Largest);
                (last, inRow) = (size, size == last ? inRow + 1 : 0);
                var warmth = size == 16 ? 1 + 0.25 * Math.Max(0, 1 - inRow / 6.0) : 0.94 + 0.06 * Math.Min(1, inRow / 30.0);
                profile.Observe(size, Ms(slowness() * warmth * Time(size, 2, 4.2)));
                sizes[size] = sizes.GetValueOrDefault(size) + (batch >= 3 * Batches ? 1 : 0);
            }
            Assert.True(sizes[16] > 2 * Batches, $"seed {seed}: {string.Join(", ", sizes)}");
        }
    }

    [Theory]
    [InlineData(3.9)]
    [InlineData(3.7)]
    [InlineData(3.5)]
    public void TrialsOfASizeThatIsSlowerCostNextToNothing(double of32)
    {
        var sizes = Serve(Measured(2, of32), 2, of32, () => 1, 10 * Batches);
        Assert.InRange(sizes[16], 1, 0.12 * 10 * Batches);
        var time = sizes.Sum(size => size.Value * Time(size.Key, 2, of32));
        var served = sizes.Sum(size => size.Key * size.Value) / time;
        Assert.InRange(served / (32 / of32), 0.997, 1);
    }

    /// <summary>A trial that was run as densely as the first would cost a load close to the capacity what it has to spare for as long as it lasts.</summary>
    [Fact]
    public void OnceASizeIsKnownToBeSlowerItsTrialsAreThin()
    {
        const int Window = 640;
        var profile = Measured(2, 3.5);     // 16 serves an eighth less than 32
        var smaller = new List<int>();
        for (var batch = 0; batch < 10 * Batches; batch++)
        {
            var size = profile.NextBatchSize(Largest);
            smaller.Add(size == 16 ? 1 : 0);
            profile.Observe(size, Ms(Time(size, 2, 3.5)));
        }
        var inWindows = smaller.Chunk(Window).Select(window => window.Sum()).ToArray();
        Assert.True(inWindows[0] > Window / 10);
        Assert.InRange(inWindows[10..].Max(), 1, Window / 10);
    }

    [Fact]
    public void ASizeThatIsSlowerByFarIsNotTried() => Assert.Equal([32], Serve(Measured(2, 2.7), 2, 2.7, () => 1).Keys);

    /// <summary>Between two measured sizes the profile guesses, and batches between them teach of the lower: the size that is hoped for would never be run.</summary>
    [Fact]
    public void ASizeBetweenTwoMeasuredOnesIsNotRunInTheHopeThatTheHigherIsFaster()
    {
        var sizes = Serve(Measured(2, 4.1), 2, 4.1, () => 1);
        Assert.Contains(32, sizes.Keys);
        Assert.All(sizes.Keys, size => Assert.Contains(size, LatencyProfile.ProbeSizes(Largest)));
    }

    [Fact]
    public void SizesThatNeverComeUpDoNotKeepTheOthersFromBeingTried()
    {
        // As the profile has it, 8, 16 and 32 might all serve fastest.
        var profile = new LatencyProfile([.. LatencyProfile.ProbeSizes(Largest).Select(size => new LatencyPoint(size, Ms(1 + size), Ms(1 + size)))]);
        var tried = new HashSet<int>();
        for (var batch = 0; batch < 5 * Batches; batch++)
        {
            var size = profile.NextBatchSize(15);       // more never wait
            Assert.InRange(size, 1, 15);
            if (size == 8)
            {
                tried.Add(batch / 1000);
            }
            profile.Observe(size, Ms(1 + size));
        }
        Assert.True(tried.Count > 2, string.Join(", ", tried));
    }

    [Fact]
    public void OfSeveralSizesThatMightBeFastestTheFastestIsFound()
    {
        // 8, 16 and 32 at 7.8, 8 and 7.8 per ms, and 32 takes more than three times as long as 8.
        for (var seed = 0; seed < 20; seed++)
        {
            var slowness = Unsteady(seed);
            var profile = new LatencyProfile([new(1, Ms(0.5), Ms(0.5)), new(8, Ms(1.1), Ms(1.1)), new(16, Ms(2), Ms(2)), new(32, Ms(3.7), Ms(3.7))]);
            var last = new Dictionary<int, int>();
            for (var batch = 0; batch < 5 * Batches; batch++)
            {
                var size = profile.NextBatchSize(Largest);
                if (batch > Batches)
                {
                    last[size] = last.GetValueOrDefault(size) + 1;
                }
                profile.Observe(size, Ms(slowness() * (size switch { 8 => 1.1, 16 => 2, _ => 4.4 })));
            }
            Assert.True(last[16] > 0.9 * last.Values.Sum(), $"seed {seed}: {string.Join(", ", last)}");
        }
    }

    /// <summary>What was measured at first is wrong, and batches are so short that many run until the profile shows what they taught.</summary>
    [Fact]
    public void AWrongMeasurementIsSettledByATrial()
    {
        static TimeSpan Us(double us) => TimeSpan.FromMicroseconds(us);
        var profile = new LatencyProfile([new(1, Us(7), Us(7)), new(16, Us(100), Us(100)), new(32, Us(180), Us(180))]);
        var late = 0;
        for (var batch = 0; batch < 20_000; batch++)
        {
            // At first no more than 16 wait.
            var size = profile.NextBatchSize(batch < 2000 ? 16 : Largest);
            late += size == 32 && batch > 4000 ? 1 : 0;
            profile.Observe(size, Us(size == 16 ? 100 : 220));
        }
        Assert.InRange(late, 1, 400);
    }

    /// <summary>At first the machine was slower for a while, when the largest was measured. Rows of it are broken off now and again, as fewer wait, or time is short.</summary>
    [Fact]
    public void AWrongMeasurementIsSettledByATrialThatRunsNotAllItsRows()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var random = new Random(seed);
            var slowness = Unsteady(seed);
            var profile = Measured(2.56, 5.9);      // 6,250 and 5,420 a second
            var largest = 0;
            for (var batch = 0; batch < Batches; batch++)
            {
                var size = profile.NextBatchSize(random.NextDouble() < 0.04 ? random.Next(8, Largest) : 2 * Largest);
                largest += size == Largest && batch >= Batches / 2 ? 1 : 0;
                profile.Observe(size, Ms(slowness() * Time(size, 2.68, 4.18)));     // 5,970 and 7,660
            }
            Assert.True(largest > 0.7 * Batches / 2, $"seed {seed}: {largest}");
        }
    }

    [Fact]
    public void WhatACopyLearnsIsItsOwn()
    {
        var (profile, twin) = (Measured(2, 4.4), Measured(2, 4.4));
        Serve(profile, 2, 3.6, Unsteady(7));
        Serve(twin, 2, 3.6, Unsteady(7));
        Assert.NotEqual(32, Serve(profile.Clone(), 2, 6, Unsteady(8), 5 * Batches).MaxBy(size => size.Value).Key);
        Assert.Equal(Serve(twin, 2, 3.6, Unsteady(9)), Serve(profile, 2, 3.6, Unsteady(9)));
        Assert.Equal(twin.Points, profile.Points);
    }
}
