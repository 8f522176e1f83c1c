namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 2: deadlines fire on time wherever a request waits, while a batch runs.</summary>
public sealed class ExpiryTests
{
    /// <summary>One runs, and is not done for long; T_1 = 6 ms.</summary>
    private static SchedulerDriver OneRuns()
    {
        var driver = new SchedulerDriver(sloMs: 10_000);
        driver.Ready();
        driver.Arrive();
        return driver;
    }

    [Fact]
    public void AtTheInstantAfterWhichItCannotBeMetAndNotBefore()
    {
        var driver = OneRuns();
        var strict = driver.Arrive(20, WhenUnreachable.Reject);
        driver.Advance(14);
        Assert.Equal(Ending.None, strict.Ending);
        driver.Advance(0.001);
        Assert.Equal((Ending.Rejected, RejectionReason.DeadlineUnreachable), (strict.Ending, strict.Reason));
    }

    [Fact]
    public void OfEachGroupTenantAndClass()
    {
        var driver = OneRuns();
        Caller[] callers =
        [
            driver.Arrive(20, WhenUnreachable.Reject, group: 2),
            driver.Arrive(25, WhenUnreachable.Reject, tenant: "a"),
            driver.Arrive(30, WhenUnreachable.Reject, priority: RequestPriority.Low),
            driver.Arrive(40, WhenUnreachable.Reject, group: 1),
        ];
        for (var i = 0; i < callers.Length; i++)
        {
            driver.Advance((callers[i].Terms.Deadline - driver.Now).TotalMilliseconds - 6);
            Assert.All(callers[i..], c => Assert.Equal(Ending.None, c.Ending));
            driver.Advance(0.001);
            Assert.Equal((Ending.Rejected, RejectionReason.DeadlineUnreachable), (callers[i].Ending, callers[i].Reason));
        }
    }

    [Fact]
    public void ByTheHighPercentileOfABatchAndNotItsMean()
    {
        var driver = new SchedulerDriver(sloMs: 10_000);
        driver.Ready(new LatencyProfile([new(1, SchedulerDriver.Ms(6), SchedulerDriver.Ms(10)), new(4, SchedulerDriver.Ms(9), SchedulerDriver.Ms(14))]));
        driver.Arrive();
        // It is free after 6 ms: 16 can be met, and 15.9 cannot.
        Assert.Equal(RejectionReason.DeadlineUnreachable, driver.Arrive(15.9, WhenUnreachable.Reject).Reason);
        var first = driver.Arrive(16, WhenUnreachable.Reject);
        Assert.Equal(Ending.None, first.Ending);
        driver.Advance(6.001);
        Assert.Equal(Ending.Rejected, first.Ending);
        var second = driver.Arrive(30, WhenUnreachable.Reject);
        driver.Advance(20);
        Assert.Equal(Ending.None, second.Ending);
        driver.Advance(0.001);
        Assert.Equal(Ending.Rejected, second.Ending);
    }

    [Fact]
    public void WhoeverIsRefusedIsToldWhenTheInstanceIsFree()
    {
        var driver = OneRuns();
        var refused = driver.Arrive(8, WhenUnreachable.Reject);
        Assert.Equal((RejectionReason.DeadlineUnreachable, SchedulerDriver.Ms(6)), (refused.Reason, refused.RetryAfter));
    }

    [Fact]
    public void WhoeverIsCancelledWhileLateLeavesAtOnce()
    {
        var driver = OneRuns();
        var late = driver.Arrive(1, bytes: 5);
        Assert.Equal((1, 5), (driver.Scheduler.LateCount, driver.Scheduler.WaitingBytes));
        driver.Cancel(late);
        Assert.Equal((0, 0, 0), (driver.Scheduler.LateCount, driver.Scheduler.WaitingCount, driver.Scheduler.WaitingBytes));
        driver.Complete(Assert.Single(driver.Running));
        Assert.Empty(driver.Running);
    }

    [Fact]
    public void TheLastOfAStoppingModelThatIsCancelledWhileLateEndsTheDrain()
    {
        var driver = new SchedulerDriver();
        var late = driver.Arrive(1);
        Assert.Equal(1, driver.Scheduler.LateCount);
        driver.Stop();
        Assert.False(driver.Drained);
        driver.Cancel(late);
        Assert.True(driver.Drained);
    }
}
