using CsCheck;
using MArk.Serving.Aws.Lambda;
using Microsoft.Extensions.Time.Testing;

namespace MArk.Serving.Aws.Tests.Lambda;

/// <summary>What is learned of calls, and what follows from it.</summary>
public sealed class LearnedCallsTests
{
    private static readonly LambdaSpilloverOptions Options = new() { FunctionName = "f", MaxBatchSize = 16, PricePerCall = 0.001m, PricePerGbSecond = 1, PackWait = TimeSpan.Zero };

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void ManyShareACallWhereThatIsCheaperAndSoonEnough()
    {
        // 10 ms, and 1 ms a request: the more the cheaper, and at most 25 ms.
        var learned = Learned(slo: Milliseconds(50), size => Milliseconds(10 + size));
        Assert.Equal(15, learned.BestSize(16));
        Assert.Equal(3, learned.BestSize(3));
    }

    [Fact]
    public void RequestsThatMayShareACallAreTakenToWaitForAllOfIt()
    {
        var learned = Learned(slo: Milliseconds(50), size => Milliseconds(10 + size));
        var warm = learned.WarmOf(15);
        Assert.True(warm.P50 >= Milliseconds(25) && warm.P95 >= warm.P50 && warm.P99 >= warm.P95, $"{warm}");
        Assert.Equal(learned.Warm, learned.WarmOf(1));
    }

    [Fact]
    public void EachHasItsOwnWhereAPackCostsMoreThanAllAlone()
    {
        var learned = Learned(slo: TimeSpan.FromSeconds(100), size => Milliseconds(10 * size * size));
        Assert.Equal(1, learned.BestSize(16));
    }

    [Fact]
    public void ASizeIsTriedAfterHalfOfItWas()
    {
        var learned = new LearnedCalls(Options, TimeSpan.FromSeconds(1), _time);
        Assert.Equal(1, learned.BestSize(16));
        for (var expected = 2; expected <= 16; expected *= 2)
        {
            learned.OnAnswered(expected / 2, Milliseconds(10), isCold: false, null);
            learned.OnAnswered(expected / 2, Milliseconds(10), isCold: false, null);
            learned.OnAnswered(expected / 2, Milliseconds(10), isCold: false, null);
            Assert.Equal(expected, learned.BestSize(16));
        }
    }

    [Fact]
    public void WhatRequestsAreTakenToCostAddsUpToWhatIsPaid() => Gen.Select(Gen.Int[0, 16], Gen.Int[1, 500], Gen.Bool).Array[1, 200].Sample(calls =>
    {
        var learned = new LearnedCalls(Options, TimeSpan.FromSeconds(1), new FakeTimeProvider());
        var (paid, requests) = (0.0, 0);
        foreach (var (size, billed, isAnswered) in calls)
        {
            var report = new LambdaReport(Milliseconds(billed), IsCold: false, MemoryMiB: 512);
            learned.OnPaid(Milliseconds(billed), report);
            paid += 0.001 + 0.5 * billed / 1000;
            if (isAnswered)
            {
                learned.OnAnswered(size, Milliseconds(billed), isCold: false, report);
                requests += size;
            }
        }
        if (requests > 0)
        {
            // Older calls count less, so it is the mean only about; it is between the cheapest and the dearest that it can be.
            Assert.InRange((double)learned.PricePerRequest, 0.001 / 16, paid);
        }
        if (requests is > 0 and < 20)
        {
            Assert.Equal(paid / requests, (double)learned.PricePerRequest, 0.2 * paid / requests);
        }
    });

    [Fact]
    public void QuantilesFollowTheSpreadAndTheSizeInUse()
    {
        var learned = new LearnedCalls(Options, TimeSpan.FromSeconds(10), _time);
        for (var i = 1; i <= 64; i++)
        {
            learned.OnAnswered(1, Milliseconds(i % 16 == 0 ? 100 : 10), isCold: false, null);
        }
        Assert.Equal(new LatencyQuantiles(Milliseconds(10), Milliseconds(100), Milliseconds(100)), learned.Warm);
        for (var i = 0; i < 64; i++)
        {
            learned.OnAnswered(8, Milliseconds(300), isCold: false, null);
        }
        Assert.Equal(8, learned.PackSize);
        Assert.Equal(LatencyQuantiles.Constant(Milliseconds(300)), learned.Warm);
    }

    [Fact]
    public void AFunctionThatWasSlowIsGivenAnotherChanceWhenItHasNotBeenCalledForLong()
    {
        var learned = new LearnedCalls(Options, TimeSpan.FromSeconds(10), _time);
        for (var i = 0; i < 64; i++)
        {
            learned.OnAnswered(1, Milliseconds(i < 20 ? 10 : 5000), isCold: false, null);
        }
        Assert.Equal(LatencyQuantiles.Constant(Milliseconds(5000)), learned.Warm);
        _time.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(LatencyQuantiles.Constant(Milliseconds(10)), learned.Warm);
        // What it is like then counts alone.
        learned.OnAnswered(1, Milliseconds(20), isCold: false, null);
        Assert.Equal(LatencyQuantiles.Constant(Milliseconds(20)), learned.Warm);
    }

    [Fact]
    public void WhatWasRareIsForgottenFirst()
    {
        var learned = new LearnedCalls(Options, TimeSpan.FromSeconds(10), _time);
        for (var i = 0; i < 64; i++)
        {
            learned.OnAnswered(1, Milliseconds(i < 48 ? 10 + i : 5000), isCold: false, null);
        }
        Assert.Equal(Milliseconds(5000), learned.Warm.P95);
        _time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(LatencyQuantiles.Constant(Milliseconds(41)), learned.Warm);
    }

    [Fact]
    public void ColdStartsAreQuotedAsTheyWere()
    {
        var learned = new LearnedCalls(Options, TimeSpan.FromSeconds(1), _time);
        learned.OnAnswered(1, Milliseconds(10), isCold: false, null);
        Assert.Equal(learned.Warm.P95 + TimeSpan.FromSeconds(1), learned.Cold.P95);
        foreach (var start in (int[])[300, 900, 500])
        {
            learned.OnAnswered(1, Milliseconds(start), isCold: true, null);
        }
        Assert.Equal(new LatencyQuantiles(Milliseconds(500), Milliseconds(900), Milliseconds(900)), learned.Cold);
        Assert.Equal(Milliseconds(10), learned.Warm.P50);
    }

    [Fact]
    public void AnEnvironmentIsWarmUntilItHasBeenIdleTooLong()
    {
        var environments = new WarmEnvironments(TimeSpan.FromMinutes(10), _time);
        Assert.False(environments.TryTake());
        environments.Return();
        _time.Advance(TimeSpan.FromMinutes(6));
        environments.Return();
        Assert.Equal(2, environments.Idle);
        _time.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(1, environments.Idle);
        Assert.True(environments.TryTake());
        Assert.Equal(0, environments.Idle);
    }

    [Fact]
    public void APauseIsTwiceAsLongEachTimeUntilACallIsAnswered()
    {
        var pause = new ThrottlePause(new Random(1), _time);
        var before = TimeSpan.Zero;
        for (var ceiling = 100; ceiling <= 1600; ceiling *= 2)
        {
            _time.Advance(Milliseconds(1));
            var length = pause.OnThrottled(_time.GetTimestamp(), null)!.Value;
            Assert.InRange(length, Milliseconds(ceiling / 2), Milliseconds(ceiling));
            Assert.Equal(length, pause.Remaining);
            _time.Advance(length);
            Assert.Equal(TimeSpan.Zero, pause.Remaining);
        }
        // Those that were made before it are one event with it.
        Assert.Null(pause.OnThrottled(_time.GetTimestamp() - TimeSpan.TicksPerMinute, null));
        _time.Advance(Milliseconds(1));
        pause.OnAnswered(_time.GetTimestamp());
        Assert.Equal(TimeSpan.Zero, pause.Remaining);
        Assert.InRange(pause.OnThrottled(_time.GetTimestamp(), null)!.Value, Milliseconds(50), Milliseconds(100));
        _time.Advance(Milliseconds(1));
        Assert.Equal(TimeSpan.FromSeconds(9), pause.OnThrottled(_time.GetTimestamp(), TimeSpan.FromSeconds(9)));
        // It is over with an answer, however long it was to be.
        _time.Advance(Milliseconds(1));
        pause.OnAnswered(_time.GetTimestamp());
        Assert.Equal(TimeSpan.Zero, pause.Remaining);
    }

    [Theory]
    [InlineData("REPORT RequestId: a\tDuration: 3.10 ms\tBilled Duration: 4 ms\tMemory Size: 256 MB\tMax Memory Used: 90 MB\t\n", 4, false, 256)]
    [InlineData("REPORT RequestId: a\tDuration: 3.10 ms\tBilled Duration: 404 ms\tMemory Size: 256 MB\tMax Memory Used: 90 MB\tInit Duration: 400.12 ms\t", 404, true, 256)]
    [InlineData("REPORT RequestId: a\tDuration: 3 ms\tBilled Duration: 9 ms\tMemory Size: 128 MB\tMax Memory Used: 1 MB\tRestore Duration: 80 ms\tBilled Restore Duration: 5 ms\t", 9, true, 128)]
    [InlineData("a line\nREPORT RequestId: 0\tBilled Duration: 1 ms\t\nREPORT RequestId: b\tDuration: 1 ms\tBilled Duration: 2 ms\t", 2, false, null)]
    [InlineData("""{"type":"platform.report","record":{"metrics":{"durationMs":1.5,"billedDurationMs":77,"memorySizeMB":512,"maxMemoryUsedMB":80,"initDurationMs":70.1},"status":"success"}}""", 77, true, 512)]
    public void AReportIsReadInEitherForm(string log, int billed, bool isCold, int? memory) =>
        Assert.Equal(new LambdaReport(Milliseconds(billed), isCold, memory), LambdaReport.Read(Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(log))));

    [Theory]
    [InlineData(null)]
    [InlineData("no base64!")]
    [InlineData("bm8gcmVwb3J0")]
    [InlineData("UkVQT1JUIFJlcXVlc3RJZDogYQ==")]
    public void WhereThereIsNoReportNoneIsRead(string? header) => Assert.Null(LambdaReport.Read(header));

    private static TimeSpan Milliseconds(double value) => TimeSpan.FromMilliseconds(value);

    private LearnedCalls Learned(TimeSpan slo, Func<int, TimeSpan> latency)
    {
        var learned = new LearnedCalls(Options, slo, _time);
        for (var i = 0; i < 10; i++)
        {
            foreach (var size in (int[])[1, 2, 4, 8, 16])
            {
                learned.OnAnswered(size, latency(size), isCold: false, null);
            }
        }
        return learned;
    }
}
