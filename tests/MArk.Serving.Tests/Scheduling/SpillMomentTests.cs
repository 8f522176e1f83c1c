namespace MArk.Serving.Tests.Scheduling;

/// <summary>A request that waits is spilled while that still helps.</summary>
public sealed class SpillMomentTests
{
    [Theory]
    [InlineData(27, 0)]
    [InlineData(32, 5)]
    public void WhatIsNotSafeIsSpilledAtTheLastMoment(double afterMs, int spilled)
    {
        // T_b = 5 + b ms, to 4 at once; a spilled request takes 10 ms. The batch that runs is expected to take 6 ms, and takes for ever: of nine that then wait, with 40 ms, the first
        // batch can be in time even if it begins at the last moment to spill, and no other.
        var driver = new SchedulerDriver(new EagerPolicy(), sloMs: 40, maxQueue: 100);
        driver.Quote(10, 100);
        driver.Ready();
        driver.Arrive(mode: WhenUnreachable.Spill);
        for (var i = 0; i < 9; i++)
        {
            driver.Arrive(mode: WhenUnreachable.Spill);
        }
        driver.Advance(afterMs);
        Assert.Equal((spilled, 0), (driver.Spilled.Count, driver.Scheduler.LateCount));
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
}
