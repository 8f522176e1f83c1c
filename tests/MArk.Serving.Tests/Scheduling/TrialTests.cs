namespace MArk.Serving.Tests.Scheduling;

/// <summary>An instance that is thought too slow is not thought so for ever.</summary>
public sealed class TrialTests
{
    private static readonly LatencyProfile Quick = LatencyProfile.Linear(SchedulerDriver.Ms(5), SchedulerDriver.Ms(1), 4);

    /// <summary>A machine that was disturbed for a while, with callers that take no late answer: all of them are refused by what was seen of it.</summary>
    private static SchedulerDriver Disturbed(WhenUnreachable mode, double batchMs = 500)
    {
        var driver = new SchedulerDriver(sloMs: 100);
        driver.Ready(Quick.Clone());
        for (var i = 0; i < 20; i++)
        {
            driver.Arrive(mode: WhenUnreachable.ServeLate);
            driver.Advance(batchMs);
            driver.Complete(driver.Running.Single());
        }
        Assert.NotEqual(Ending.None, driver.Arrive(mode: mode).Ending);
        return driver;
    }

    [Fact]
    public void AfterAWhileWithoutWorkARequestIsTriedAndWhatWasMeasuredAtFirstCountsAgain()
    {
        var driver = Disturbed(WhenUnreachable.Reject);
        driver.Advance(1100);
        var tried = driver.Arrive(mode: WhenUnreachable.Reject);
        Assert.Equal(Ending.None, tried.Ending);
        driver.Advance(6);
        driver.Complete(driver.Running.Single());
        Assert.Equal(Ending.Result, tried.Ending);
        var next = driver.Arrive(mode: WhenUnreachable.Reject);
        Assert.Single(driver.Running);
        driver.Advance(6);
        driver.Complete(driver.Running.Single());
        Assert.Equal(Ending.Result, next.Ending);
    }

    [Fact]
    public void WhatIsSpilledMeanwhileComesBackToTheFleet()
    {
        var driver = new SchedulerDriver(sloMs: 100);
        driver.Quote(10, 100);
        driver.Ready(LatencyProfile.Linear(SchedulerDriver.Ms(500), SchedulerDriver.Ms(1), 4));
        driver.Advance(1100);
        // Thought too slow from the start: one request a while is tried, the others are spilled.
        var tried = driver.Arrive(mode: WhenUnreachable.Spill);
        Assert.False(tried.IsSpilled);
        Assert.True(driver.Arrive(mode: WhenUnreachable.Spill).IsSpilled);
        for (var i = 0; i < 8; i++)
        {
            driver.Advance(6);
            driver.Complete(driver.Running.Single());
            driver.Advance(1100);
            driver.Arrive(mode: WhenUnreachable.Spill);
        }
        driver.Advance(6);
        driver.Complete(driver.Running.Single());
        Assert.False(driver.Arrive(mode: WhenUnreachable.Spill).IsSpilled);
    }

    [Fact]
    public void ADeadlineThatIsTooShortByItselfIsNoReasonToTry()
    {
        var driver = new SchedulerDriver(sloMs: 100);
        driver.Ready(Quick.Clone());
        driver.Advance(5000);
        Assert.Equal(RejectionReason.DeadlineUnreachable, driver.Arrive(timeoutMs: 2, mode: WhenUnreachable.Reject).Reason);
    }
}
