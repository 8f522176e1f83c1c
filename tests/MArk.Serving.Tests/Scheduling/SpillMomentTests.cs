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
}
