using MArk.Serving.Batching;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 9: with several batches under way on an instance, what a batch takes is measured without the wait behind another, and a batch is judged from when the instance begins on it.</summary>
public sealed class PipelineTests
{
    private sealed class Recording : IBatchPolicy
    {
        public List<double> Durations { get; } = [];

        public BatchDecision Decide(in BatchContext context) => BatchDecision.Dispatch(1);

        public void Completed(in BatchFeedback feedback) => Durations.Add(feedback.Duration.TotalMilliseconds);
    }

    private static void CompleteOldest(SchedulerDriver driver) => driver.Complete(driver.Running.OrderBy(b => b.Slots[0]).MinBy(b => b.DispatchedAt)!);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void TheWaitBehindThePreviousBatchIsNotPartOfABatchsTime(int slots)
    {
        var policy = new Recording();
        var driver = new SchedulerDriver(policy, maxQueue: 100, sloMs: 10_000);
        driver.Ready(LatencyProfile.Linear(SchedulerDriver.Ms(6), TimeSpan.Zero, 4), slots: slots);
        for (var i = 0; i < 20; i++)
        {
            driver.Arrive();
        }
        driver.Advance(6);
        for (var i = 0; i < 19; i++)
        {
            CompleteOldest(driver);
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
        CompleteOldest(driver);
        Assert.Equal(RejectionReason.DeadlineUnreachable, driver.Arrive(11, WhenUnreachable.Reject).Reason);
        Assert.Equal(Ending.None, driver.Arrive(13, WhenUnreachable.Reject).Ending);
    }

    [Fact]
    public void ABatchIsMeasuredFromTheEndOfTheOneBeforeItOrFromItsDispatch()
    {
        var policy = new Recording();
        var driver = new SchedulerDriver(policy, sloMs: 10_000);
        driver.Ready(slots: 2);
        driver.Arrive();
        driver.Advance(4);
        driver.Arrive();
        driver.Advance(6);
        CompleteOldest(driver);     // at 10
        driver.Advance(8);
        CompleteOldest(driver);     // at 18: it began at 10
        driver.Advance(2);
        driver.Arrive();            // at 20
        driver.Advance(7);
        CompleteOldest(driver);     // nothing was before it since it was dispatched
        Assert.Equal([10, 8, 7], policy.Durations);
    }

    [Fact]
    public void OneThatOvertakesCountsForTheOneItOvertook()
    {
        var policy = new Recording();
        var driver = new SchedulerDriver(policy, sloMs: 10_000);
        driver.Ready(slots: 2);
        driver.Arrive();
        driver.Advance(1);
        driver.Arrive();
        driver.Advance(9);
        driver.Complete(driver.Running.MaxBy(b => b.DispatchedAt)!);
        driver.Advance(10);
        CompleteOldest(driver);
        Assert.Equal([9, 10], policy.Durations);
    }

    [Fact]
    public void AFailedBatchIsOneBeforeTheNextToo()
    {
        var policy = new Recording();
        var driver = new SchedulerDriver(policy, sloMs: 10_000);
        driver.Ready(slots: 2);
        driver.Arrive(poison: true);
        driver.Arrive();
        driver.Advance(6);
        CompleteOldest(driver);
        Assert.Equal(Ending.Failed, driver.Callers[0].Ending);
        driver.Advance(6);
        CompleteOldest(driver);
        Assert.Equal([6, 6], policy.Durations);
    }

    [Fact]
    public void AnInstanceIsDoneWithABatchWhenItsSlotIsFreeThoughAnswersAreStillToCome()
    {
        var policy = new Recording();
        var driver = new SchedulerDriver(policy, sloMs: 10_000);
        driver.Ready();
        driver.Arrive();
        driver.Arrive();
        driver.Advance(3);
        driver.SlotFree(Assert.Single(driver.Running));
        // The second runs since 3, and until 9: a third is done by 15.
        Assert.Equal(RejectionReason.DeadlineUnreachable, driver.Arrive(11, WhenUnreachable.Reject).Reason);
        Assert.Equal(Ending.None, driver.Arrive(13, WhenUnreachable.Reject).Ending);
        driver.Advance(3);
        CompleteOldest(driver);
        driver.Advance(7);
        CompleteOldest(driver);
        // What an instance takes for a batch does not count the time until its answers were read.
        Assert.Equal([3, 10], policy.Durations);
    }

    [Fact]
    public void ABatchBehindAnotherHoldsNoMoreThanEndsInTimeFromWhenItBegins()
    {
        // T_b = 5 + b ms. The first ends late, at 8, so that the second is expected to run until 14: then 8.5 ms remain, and T_3 = 8 ms.
        var driver = new SchedulerDriver(sloMs: 10_000);
        driver.Ready(slots: 2);
        driver.Arrive();
        driver.Arrive();
        for (var i = 0; i < 4; i++)
        {
            driver.Arrive(timeoutMs: 22.5);
        }
        Assert.Equal((2, 0), (driver.Running.Count, driver.Scheduler.LateCount));
        driver.Advance(8);
        CompleteOldest(driver);
        Assert.Equal([(1, BatchReason.IdleInstance), (3, BatchReason.Deadline)], driver.Running.Select(b => (b.Count, b.Reason)).Order());
    }

    [Fact]
    public void WhatCannotMakeItBehindAnotherIsLeftToAnInstanceThatIsFree()
    {
        // Two fast slots, one of them free behind a batch of 6 ms, and a slower instance: 10 ms are left.
        var driver = new SchedulerDriver(new NoBatchingPolicy(), sloMs: 10_000);
        driver.Ready(slots: 2);
        var slow = driver.Ready(LatencyProfile.Linear(SchedulerDriver.Ms(8), SchedulerDriver.Ms(1), 4));
        driver.Arrive();
        var urgent = driver.Arrive(timeoutMs: 10);
        Assert.Contains(driver.Running, b => b.Instance.Id == slow && b.Slots[0] == urgent.Id.Slot);
    }

    [Fact]
    public void HeadsThatForceASmallBatchAreGivenUpByWhenItBegins()
    {
        // At 6 the instance is expected to run until 12. A request alone is done at 18, in time for the head; two would be at 19.
        var driver = new SchedulerDriver(maxQueue: 1000);
        driver.Ready(slots: 2);
        driver.Arrive();
        driver.Arrive();
        var head = driver.Arrive(timeoutMs: 18.5);
        var others = Enumerable.Range(0, 4).Select(_ => driver.Arrive()).ToList();
        for (var i = 0; i < 200; i++)
        {
            driver.Cancel(driver.Arrive());     // more arrive than one at a time could serve
        }
        driver.Advance(6);
        Assert.Equal(0, driver.Scheduler.LateCount);
        CompleteOldest(driver);
        Assert.Equal((1, Ending.None), (driver.Scheduler.LateCount, head.Ending));
        Assert.Contains(driver.Running, b => b.Slots.SequenceEqual(others.Select(o => o.Id.Slot).ToArray()));
    }

    [Fact]
    public void APartOfAFailedBatchIsJudgedFromWhenItBeginsToo()
    {
        // At 4 the lone one is expected to run until 10, the other part until 16, and this one from then until 22.
        var driver = new SchedulerDriver(sloMs: 10_000);
        var instance = driver.Ready(slots: 2);
        driver.Busy(instance, busy: true);
        driver.Expect(0);
        driver.Arrive(timeoutMs: 17, poison: true);
        var strict = driver.Arrive(timeoutMs: 18, WhenUnreachable.Reject);
        driver.Busy(instance, busy: false);
        driver.Arrive();
        driver.Advance(4);
        driver.Complete(driver.Running.Single(b => b.Count == 2));
        driver.Advance(1);
        Assert.Equal(RejectionReason.DeadlineUnreachable, strict.Reason);
    }

    [Fact]
    public void WhereBatchesAreShortAFullOneWaitsBehindTheOneThatRuns()
    {
        // Batches of up to 4.
        var driver = new SchedulerDriver(new EagerPolicy(), sloMs: 10_000) { RunsAhead = true };
        driver.Ready();
        driver.Arrive();
        driver.Advance(1);
        driver.Complete(Assert.Single(driver.Running));
        driver.Arrive();
        Assert.Single(driver.Running);
        for (var i = 0; i < 3; i++)
        {
            driver.Arrive();
            Assert.Single(driver.Running);
        }
        driver.Arrive();
        Assert.Equal([1, 4], driver.Running.Select(b => b.Count).Order());
        for (var i = 0; i < 4; i++)
        {
            driver.Arrive();
            Assert.Equal(2, driver.Running.Count);
        }
        CompleteOldest(driver);
        Assert.Equal([4, 4], driver.Running.Select(b => b.Count));
    }

    [Fact]
    public void WhatIsRunAgainDoesNotWaitBehindFullBatchesForEver()
    {
        var driver = new SchedulerDriver(new EagerPolicy(), sloMs: 10_000, maxQueue: 1000) { RunsAhead = true };
        driver.Ready();
        driver.Arrive();
        driver.Advance(1);
        driver.Complete(Assert.Single(driver.Running));
        driver.Arrive();
        var poison = driver.Arrive(poison: true);
        for (var i = 0; i < 3; i++)
        {
            driver.Arrive();
        }
        // More come all the time than are served.
        for (var i = 0; i < 20 && poison.Ending == Ending.None; i++)
        {
            for (var j = 0; j < 8; j++)
            {
                driver.Arrive();
            }
            driver.Advance(1);
            CompleteOldest(driver);
        }
        Assert.Equal(Ending.Failed, poison.Ending);
    }
}
