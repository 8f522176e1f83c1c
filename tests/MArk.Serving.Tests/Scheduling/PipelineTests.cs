using MArk.Serving.Batching;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 9: with several batches under way on an instance, what a batch takes is measured without the wait behind another.</summary>
public sealed class PipelineTests
{
    private sealed class Recording : IBatchPolicy
    {
        public List<double> Durations { get; } = [];

        public BatchDecision Decide(in BatchContext context) => BatchDecision.Dispatch(1);

        public void Completed(in BatchFeedback feedback) => Durations.Add(feedback.Duration.TotalMilliseconds);
    }

    [Fact]
    public void TheWaitBehindThePreviousBatchIsNotPartOfABatchsTime()
    {
        var policy = new Recording();
        var driver = new SchedulerDriver(policy, maxQueue: 100, sloMs: 10_000);
        driver.Ready(LatencyProfile.Linear(SchedulerDriver.Ms(6), TimeSpan.Zero, 4), slots: 2);
        for (var i = 0; i < 20; i++)
        {
            driver.Arrive();
        }
        driver.Advance(6);
        for (var i = 0; i < 19; i++)
        {
            driver.Complete(driver.Running.MinBy(b => b.DispatchedAt)!);
            driver.Advance(6);
        }
        Assert.All(policy.Durations, d => Assert.Equal(6, d, 6));
        Assert.Equal(SchedulerDriver.Ms(6), driver.Scheduler.ProfileOf(0)!.Mean(1));
    }

    [Fact]
    public void AGapBetweenBatchesIsNotPartOfABatchsTimeEither()
    {
        var policy = new Recording();
        var driver = new SchedulerDriver(policy, sloMs: 10_000);
        driver.Ready(slots: 2);
        driver.Arrive();
        driver.Advance(6);
        driver.Complete(Assert.Single(driver.Running));
        driver.Advance(100);
        driver.Arrive();
        driver.Advance(7);
        driver.Complete(Assert.Single(driver.Running));
        Assert.Equal([6, 7], policy.Durations);
    }

    [Fact]
    public void WhatIsExpectedOfAnInstanceFollowsWhatIsStillUnderWay()
    {
        // T_b = 5 + b ms. The first of two takes 20 ms instead of 6: a third is done in 6 + 6, and one that has 11 ms is refused.
        var driver = new SchedulerDriver(new NoBatchingPolicy(), sloMs: 10_000);
        driver.Ready(slots: 2);
        driver.Arrive();
        driver.Arrive();
        driver.Advance(20);
        driver.Complete(driver.Running.MinBy(b => b.DispatchedAt)!);
        Assert.Equal(RejectionReason.DeadlineUnreachable, driver.Arrive(11, WhenUnreachable.Reject).Reason);
        Assert.Equal(Ending.None, driver.Arrive(13, WhenUnreachable.Reject).Ending);
    }
}
