namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 1: what the scheduler tells a batch policy, and what comes of it.</summary>
public sealed class PolicyInputTests
{
    /// <summary>T_b = 5 + b ms; the rate is counted over 100 ms. An instance that was busy until now, and 50 that came meanwhile and are gone.</summary>
    private static (SchedulerDriver Driver, int Instance) AfterALoad()
    {
        var driver = new SchedulerDriver(maxBatch: 8, sloMs: 20);
        var instance = driver.Ready();
        driver.Busy(instance, true);
        driver.Expect(0);
        for (var i = 0; i < 50; i++)
        {
            driver.Cancel(driver.Arrive(1000));
        }
        return (driver, instance);
    }

    [Fact]
    public void ALoneRequestIsHeldForTheNextAtTheRateOfLate()
    {
        var (driver, instance) = AfterALoad();
        driver.Busy(instance, false);
        driver.Arrive(1000);
        // 51 in 100 ms: the next is expected in 1.96 ms.
        Assert.Empty(driver.Running);
        Assert.InRange(driver.WakeAt!.Value, SchedulerDriver.Ms(1.96), SchedulerDriver.Ms(1.97));
        driver.Advance(1);
        driver.Arrive(1000);
        Assert.Empty(driver.Running);
        driver.Advance(20);
        // And both for a third, until nobody has come for so long that it would not pay any more.
        var batch = Assert.Single(driver.Running);
        Assert.Equal((2, BatchReason.HoldEnded), (batch.Count, batch.Reason));
        Assert.InRange(batch.DispatchedAt, SchedulerDriver.Ms(7), SchedulerDriver.Ms(8));
    }

    [Fact]
    public void NothingIsHeldWhileAnotherInstanceIsIdle()
    {
        var (driver, instance) = AfterALoad();
        driver.Ready();
        driver.Busy(instance, false);
        driver.Arrive(1000);
        Assert.Equal(1, Assert.Single(driver.Running).Count);
    }

    [Fact]
    public void NothingIsHeldWhereTheInstancesKeepUpTogether()
    {
        // 510/s, and 167/s on each of four one by one: three run, and the fourth need not wait.
        var (driver, instance) = AfterALoad();
        for (var i = 0; i < 3; i++)
        {
            driver.Ready();
            driver.Arrive(1000);
        }
        driver.Busy(instance, false);
        Assert.Equal(3, driver.Running.Count);
        driver.Arrive(1000);
        Assert.Equal(4, driver.Running.Count);
    }

    private sealed record Told(
        TimeSpan Now, TimeSpan StartsAt, TimeSpan[] Deadlines, TimeSpan Earliest, TimeSpan HeadArrival, int QueueLength, int MaxBatchSize, long Weight, int? MaxBatchWeight,
        LatencyProfile Profile, int FreeSlots, double ArrivalRate, int ReadyInstances, int OtherIdleInstances, TimeSpan? NextInstanceFreeAt);

    private sealed class RecordingPolicy : IBatchPolicy
    {
        public bool Holds { get; set; }

        public Told? Last { get; private set; }

        public BatchDecision Decide(in BatchContext context)
        {
            Last = new(
                context.Now, context.StartsAt, context.Deadlines.ToArray(), context.EarliestDeadline, context.HeadArrival, context.QueueLength, context.MaxBatchSize, context.Weight, context.MaxBatchWeight,
                context.Profile, context.FreeSlots, context.ArrivalRate, context.ReadyInstances, context.OtherIdleInstances, context.NextInstanceFreeAt);
            return Holds ? BatchDecision.WaitForEvent : BatchDecision.Dispatch(context.Deadlines.Length);
        }

        public void Completed(in BatchFeedback feedback)
        {
            // Learns nothing.
        }
    }

    [Fact]
    public void APolicyIsToldAllThereIsToKnow()
    {
        // One instance is out, one runs a batch until 6 ms, one has two slots and is asked, one is idle besides.
        var policy = new RecordingPolicy();
        var driver = new SchedulerDriver(policy, maxBatch: 4, maxQueue: 100, sloMs: 20, maxWeight: 10);
        driver.Ready();
        driver.Arrive(500);
        driver.FailInstance(Assert.Single(driver.Running));
        driver.Ready();
        policy.Holds = true;
        var profile = LatencyProfile.Linear(SchedulerDriver.Ms(5), SchedulerDriver.Ms(1), 4);
        driver.Ready(profile, slots: 2, maxBatch: 3);
        driver.Ready();
        driver.Advance(2);
        driver.Arrive(300, priority: RequestPriority.High, weight: 3);
        driver.Advance(1);
        driver.Arrive(200, weight: 4);
        driver.Arrive(400, weight: 2);
        driver.Arrive(410, weight: 1);
        var told = policy.Last!;
        Assert.Equal([SchedulerDriver.Ms(302), SchedulerDriver.Ms(203), SchedulerDriver.Ms(403)], told.Deadlines);
        Assert.Equal(
            (SchedulerDriver.Ms(3), SchedulerDriver.Ms(3), SchedulerDriver.Ms(203), SchedulerDriver.Ms(2), 4),
            (told.Now, told.StartsAt, told.Earliest, told.HeadArrival, told.QueueLength));
        Assert.Equal((3, 9L, 10, 2), (told.MaxBatchSize, told.Weight, told.MaxBatchWeight, told.FreeSlots));
        Assert.Equal((3, 1, SchedulerDriver.Ms(6)), (told.ReadyInstances, told.OtherIdleInstances, told.NextInstanceFreeAt));
        Assert.Equal(50, told.ArrivalRate, 6);
        Assert.Same(profile, told.Profile);
    }

    [Fact]
    public void ABatchKnowsHowLongItsOldestRequestHasWaitedThoughAnotherGoesFirst()
    {
        var driver = new SchedulerDriver(sloMs: 10_000);
        driver.Expect(10);
        driver.Arrive(9000);
        driver.Advance(3);
        var urgent = driver.Arrive(100);
        driver.Advance(1);
        driver.Ready();
        var batch = Assert.Single(driver.Running);
        Assert.Equal((2, urgent.Id.Slot, SchedulerDriver.Ms(4)), (batch.Count, batch.Slots[0], batch.OldestWait));
    }
}
