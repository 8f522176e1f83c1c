namespace MArk.Serving.Tests.Scheduling;

/// <summary>A request that waits is spilled while that still helps.</summary>
public sealed class SpillMomentTests
{
    [Theory]
    [InlineData(null, 26, 0)]
    [InlineData(null, 32, 9)]
    [InlineData(26, 32, 5)]
    public void WhatIsNotSafeIsSpilledAtTheLastMoment(int? endsAfterMs, double afterMs, int spilled)
    {
        // T_b = 5 + b ms, to 4 at once; a spilled request takes 10 ms, of 40. The batch that runs is expected to take 6 ms. It takes for ever, and may take as long again: no other can
        // be in time. Or it ends after 26 ms: four go at once, and for the five that follow it is too late.
        var driver = new SchedulerDriver(new EagerPolicy(), sloMs: 40, maxQueue: 100);
        driver.Quote(10, 100);
        driver.Ready();
        driver.Arrive(mode: WhenUnreachable.Spill);
        for (var i = 0; i < 9; i++)
        {
            driver.Arrive(mode: WhenUnreachable.Spill);
        }
        if (endsAfterMs is { } ends)
        {
            driver.Advance(ends);
            driver.Complete(driver.Running.Single());
        }
        driver.Advance(afterMs - (endsAfterMs ?? 0));
        Assert.Equal((spilled, 0), (driver.Spilled.Count, driver.Scheduler.LateCount));
    }

    [Theory]
    [InlineData(30, true)]
    [InlineData(200, false)]
    public void WhatIsLateEverywhereIsSpilledIfItIsAnsweredSoonerSo(double spillMs, bool spilled)
    {
        // Both take longer than the 20 ms there are; the instance is expected to be done with what it has, and with this one, after 105 ms.
        var driver = new SchedulerDriver(new EagerPolicy(), maxBatch: 1, sloMs: 20);
        driver.Quote(spillMs, 100);
        driver.Ready(LatencyProfile.Linear(SchedulerDriver.Ms(50), SchedulerDriver.Ms(2.5), 1));
        driver.Arrive(mode: WhenUnreachable.ServeLate);
        Assert.Equal(spilled, driver.Arrive(mode: WhenUnreachable.Spill).IsSpilled);
        Assert.Equal(Ending.Rejected, driver.Arrive(timeoutMs: 20, mode: WhenUnreachable.Spill).Ending);
    }

    [Fact]
    public void AMarginThatKeepsEverythingAwayIsForgotten()
    {
        // T_1 = 25 ms of 40 ms. Batches that take 100 ms bring the margin to 20 ms, and then all is spilled, though batches take as long as before by now.
        var driver = new SchedulerDriver(new EagerPolicy(), maxBatch: 1, sloMs: 40);
        driver.Quote(5, int.MaxValue);
        driver.Ready(LatencyProfile.Linear(SchedulerDriver.Ms(24), SchedulerDriver.Ms(1), 1));
        for (var i = 0; i < 7; i++)
        {
            driver.Arrive(mode: WhenUnreachable.Spill);
            driver.Advance(100);
            if (driver.Running.SingleOrDefault() is { } batch)
            {
                driver.Complete(batch);
            }
        }
        Assert.True(driver.Arrive(mode: WhenUnreachable.Spill).IsSpilled);
        driver.Advance(1100);
        for (var i = 0; i < 2; i++)
        {
            var kept = driver.Arrive(mode: WhenUnreachable.Spill);
            driver.Advance(25);
            driver.Complete(driver.Running.Single());
            Assert.Equal(Ending.Result, kept.Ending);
        }
    }

    [Fact]
    public void APlaceToSpillToChangesNothingForWhatIsNotToBeSpilled()
    {
        // T_b = 5 + b ms, to 16 at once: a third more comes than can be served, and all of it may be late.
        Assert.Equal(ServedInTime(quoted: false), ServedInTime(quoted: true));

        static int ServedInTime(bool quoted)
        {
            var driver = new SchedulerDriver(maxBatch: 16, maxQueue: 10_000, sloMs: 60);
            if (quoted)
            {
                driver.Quote(10, int.MaxValue);
            }
            driver.Ready();
            for (var ms = 0; ms < 2000; ms++)
            {
                driver.Arrive();
                driver.Advance(1);
                if (driver.Running.SingleOrDefault() is { } batch && driver.Now >= batch.DispatchedAt + SchedulerDriver.Ms(5 + batch.Count))
                {
                    driver.Complete(batch);
                }
            }
            return driver.Callers.Count(c => c.Ending == Ending.Result && c.EndedAt <= c.Terms.Deadline);
        }
    }

    public static TheoryData<TimeSpan, int, int, int> ImpossibleQuotes => new()
    {
        { TimeSpan.MaxValue, 10, 10, 0 },
        { TimeSpan.MinValue, 10, 10, 9 },
        { TimeSpan.FromMilliseconds(10), -1, -1, 0 },
        { TimeSpan.FromMilliseconds(10), 10, int.MinValue, 9 },
    };

    [Theory]
    [MemberData(nameof(ImpossibleQuotes))]
    public void AQuoteOfImpossibleValuesIsTakenForTheNearestPossibleOne(TimeSpan latency, int free, int warm, int spilled)
    {
        var driver = new SchedulerDriver(new EagerPolicy(), sloMs: 40, maxQueue: 100);
        driver.Advance(1);
        driver.Scheduler.OnQuote(driver.Now, new SpilloverQuote
        {
            Warm = LatencyQuantiles.Constant(latency),
            Cold = LatencyQuantiles.Constant(latency),
            FreeConcurrency = free,
            WarmConcurrency = warm,
            ValidFor = TimeSpan.MaxValue,
        });
        driver.Ready();
        for (var i = 0; i < 10; i++)
        {
            driver.Arrive(mode: WhenUnreachable.Spill);
        }
        driver.Advance(100);
        Assert.Equal((spilled, 9 - spilled), (driver.Spilled.Count, driver.Scheduler.LateCount));
    }
}
