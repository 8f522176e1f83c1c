namespace MArk.Serving.Tests.Scheduling;

/// <summary>What can be spilled is to be done before its deadline by a margin; where it cannot be any more, the deadline counts.</summary>
public sealed class SpillMarginTests
{
    [Theory]
    [InlineData(75, true)]
    [InlineData(73, false)]
    public void WhatABatchBringsInTimeRunsThoughNotByTheMargin(double timeoutMs, bool runs)
    {
        // T_1 = 32 ms, T_2 = 42 ms; a spilled request takes 50 ms, and the margin is 5. When the first batch ends, the next of two ends at 74.
        var driver = new SchedulerDriver(new EagerPolicy());
        driver.Quote(50, 1);
        driver.Ready(LatencyProfile.Linear(SchedulerDriver.Ms(22), SchedulerDriver.Ms(10), 4));
        driver.Arrive();
        var own = driver.Arrive(timeoutMs, WhenUnreachable.Spill);
        driver.Arrive(1000, WhenUnreachable.ServeLate);
        driver.Advance(32);
        driver.Complete(driver.Running.Single());
        Assert.Equal(runs ? (Ending.None, 2) : (Ending.Rejected, 1), (own.Ending, driver.Running.Single().Count));
    }

    [Fact]
    public void WhatTheTargetGivesBackSaysNothingOfWhatIsKept()
    {
        // T_1 = 32 ms, and the margin is 5. The second would end at 64 of its 40, is spilled and given back, and nobody can have it in time any more.
        var driver = new SchedulerDriver(new EagerPolicy());
        driver.Quote(20, 10);
        driver.Ready(LatencyProfile.Linear(SchedulerDriver.Ms(22), SchedulerDriver.Ms(10), 4));
        driver.Arrive();
        var given = driver.Arrive(40, WhenUnreachable.Spill);
        Assert.True(given.IsSpilled);
        driver.SpillDone(given, answered: false);
        Assert.Equal(RejectionReason.DeadlineUnreachable, given.Reason);
        driver.Advance(32);
        driver.Complete(driver.Running.Single());
        // The next but one ends at 96, and has until 107: in time by the margin.
        driver.Arrive();
        Assert.False(driver.Arrive(75, WhenUnreachable.Spill).IsSpilled);
    }
}
