namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 6: the queue is bounded by number and by bytes, and a rejection says when to come back.</summary>
public sealed class BackPressureTests
{
    private static SchedulerDriver Full(int maxQueue = 100, long maxBytes = 1000)
    {
        // One that runs for 6 ms, and what waits behind it.
        var driver = new SchedulerDriver(maxBatch: 4, maxQueue: maxQueue, sloMs: 10_000, maxBytes: maxBytes);
        driver.Ready();
        driver.Arrive(bytes: 900);
        return driver;
    }

    [Fact]
    public void TheQueueIsBoundedByBytes()
    {
        var driver = Full();
        driver.Arrive(bytes: 600);
        driver.Arrive(bytes: 400);
        var refused = driver.Arrive(bytes: 1);
        Assert.Equal((Ending.Rejected, RejectionReason.QueueFull), (refused.Ending, refused.Reason));
        Assert.Equal(Ending.None, driver.Arrive(bytes: 0).Ending);
        Assert.Equal(1000, driver.Scheduler.WaitingBytes);
    }

    [Fact]
    public void WhatRunsTakesNoRoomInTheQueue()
    {
        var driver = Full();
        Assert.Equal(0, driver.Scheduler.WaitingBytes);
        Assert.Equal(Ending.None, driver.Arrive(bytes: 1000).Ending);
    }

    [Fact]
    public void AsManyLateRequestsLeaveAsTheNewcomerNeedsBytes()
    {
        var driver = Full();
        var late = Enumerable.Range(0, 3).Select(_ => driver.Arrive(1, bytes: 300)).ToArray();
        Assert.Equal(3, driver.Scheduler.LateCount);
        Assert.Equal(Ending.None, driver.Arrive(bytes: 700).Ending);
        Assert.Equal([RejectionReason.QueueFull, RejectionReason.QueueFull, RejectionReason.None], late.Select(c => c.Reason));
        Assert.Equal(1000, driver.Scheduler.WaitingBytes);
    }

    [Fact]
    public void WhatBecameLateWhileEveryInstanceWasBusyMakesRoom()
    {
        // The batch that runs takes far longer than expected, and so nothing happens until the next request arrives.
        var driver = new SchedulerDriver(new EagerPolicy(), maxQueue: 1);
        driver.Ready();
        driver.Arrive();
        var late = driver.Arrive(20, WhenUnreachable.ServeLate);
        driver.Advance(100);
        Assert.Equal(Ending.None, driver.Arrive(1000, WhenUnreachable.ServeLate).Ending);
        Assert.Equal((Ending.Rejected, RejectionReason.QueueFull), (late.Ending, late.Reason));
    }

    [Fact]
    public void NoLateRequestLeavesForANewcomerThatFindsNoRoomEvenSo()
    {
        var driver = Full();
        driver.Arrive(bytes: 500);
        var late = driver.Arrive(1, bytes: 300);
        Assert.Equal(RejectionReason.QueueFull, driver.Arrive(bytes: 600).Reason);
        Assert.Equal(Ending.None, late.Ending);
    }

    [Fact]
    public void AFullQueueSaysWhenAllThatWaitWillHaveStarted()
    {
        // 6 ms for the one that runs, 9 ms for each batch of 4 before the one that a newcomer would join.
        var driver = Full(maxQueue: 8);
        for (var i = 0; i < 8; i++)
        {
            driver.Arrive();
        }
        driver.Advance(2);
        Assert.Equal(SchedulerDriver.Ms(4 + 9 + 9), driver.Arrive().RetryAfter);
    }

    [Fact]
    public void AFullQueueNeverSaysToComeBackAtOnce()
    {
        // The batch should have been done long ago: who knows when it will be, but not now.
        var driver = Full(maxQueue: 1);
        driver.Arrive();
        driver.Advance(500);
        Assert.True(driver.Arrive().RetryAfter > TimeSpan.Zero);
    }

    [Fact]
    public void WhileNothingIsMeasuredTheObjectiveIsAllThatCanBeSaid()
    {
        var driver = new SchedulerDriver(maxQueue: 1);
        driver.Ready(LatencyProfile.Unmeasured(4));
        driver.Arrive();
        driver.Arrive();
        Assert.Equal(driver.Slo, driver.Arrive().RetryAfter);
    }

    [Fact]
    public void WithNoInstanceItIsWhenTheNextOneIsExpectedOrNothing()
    {
        var driver = new SchedulerDriver(maxQueue: 1, sloMs: 10_000);
        driver.Expect(300);
        driver.Arrive();
        Assert.Equal(SchedulerDriver.Ms(300), driver.Arrive().RetryAfter);
        driver = new SchedulerDriver(maxQueue: 1);
        driver.Arrive();
        var refused = driver.Arrive(50, WhenUnreachable.Reject);
        Assert.Equal((RejectionReason.NoCapacity, null), (refused.Reason, refused.RetryAfter));
    }

    [Fact]
    public void ALargeRequestOfALowClassIsLetInWhereNothingWaits()
    {
        // A quarter of the bytes is for low ones, and it takes more.
        var driver = new SchedulerDriver(maxQueue: 100, sloMs: 10_000, maxBytes: 1000, headroom: 0.5);
        driver.Expect(1000);
        Assert.Equal(Ending.None, driver.Arrive(bytes: 300, priority: RequestPriority.Low).Ending);
        Assert.Equal(RejectionReason.QueueFull, driver.Arrive(bytes: 300, priority: RequestPriority.Low).Reason);
    }
}
