using CsCheck;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 4: batches fill by key without starving others, and keys that are gone leave nothing behind.</summary>
public sealed class GroupTests
{
    [Fact]
    public void KeysThatComeAndGoLeaveNothingBehind()
    {
        var driver = new SchedulerDriver(sloMs: 10_000);
        driver.Ready();
        for (var i = 1; i <= 1000; i++)
        {
            driver.Arrive(group: i);
            driver.Complete(Assert.Single(driver.Running));
            Assert.Equal(0, driver.Scheduler.KeyCount);
        }
        Assert.All(driver.Callers, c => Assert.Equal(1, c.Terms.Group));     // the number is used again and again
    }

    [Fact]
    public void AKeyIsKeptWhileARequestOfItRuns()
    {
        var driver = new SchedulerDriver(sloMs: 10_000);
        driver.Ready();
        var runs = driver.Arrive(group: 7);
        var other = driver.Arrive(group: 8);
        Assert.NotEqual(runs.Terms.Group, other.Terms.Group);
        Assert.Equal(runs.Terms.Group, driver.Arrive(group: 7).Terms.Group);
        Assert.Equal(2, driver.Scheduler.KeyCount);
        driver.Finish();
        Assert.Equal(0, driver.Scheduler.KeyCount);
    }

    [Fact]
    public void ARequestOfAKeyThatComesAndGoesAllocatesNothing()
    {
        var scheduler = new ModelScheduler(new SchedulerSettings
        {
            ModelName = "m", Slo = TimeSpan.FromSeconds(1), MaxBatchSize = 4, MaxQueueLength = 100, CreatePolicy = _ => new MArk.Serving.Batching.NoBatchingPolicy(),
        });
        scheduler.OnInstanceReady(TimeSpan.Zero, 1, 0, 4, 1, LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.Zero, 4));
        var now = TimeSpan.Zero;
        string[] keys = ["a", "b", "c"];
        Run(100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Run(1000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Run(int count)
        {
            for (var i = 0; i < count; i++)
            {
                now += TimeSpan.FromMilliseconds(1);
                scheduler.OnArrival(now, new RequestTerms(now + TimeSpan.FromSeconds(1), scheduler.GroupOf(0, keys[i % 3]), RequestPriority.Normal, WhenUnreachable.ServeLate, OwnDeadline: false));
                var batch = scheduler.Commands[0].Batch!;
                scheduler.ClearCommands();
                scheduler.OnBatchCompleted(now, batch);
                scheduler.ClearCommands();
            }
        }
    }

    [Fact]
    public void GroupsInTimeAreServedByTheirDeadlinesHoweverFullAnotherIs()
    {
        // One request of key 1 among an endless supply for key 2: it waits for those whose deadlines are before its own, and no others.
        var driver = new SchedulerDriver(maxBatch: 4, maxQueue: 1000, sloMs: 10_000);
        driver.Ready();
        for (var i = 0; i < 20; i++)
        {
            driver.Arrive(group: 2);
        }
        var lone = driver.Arrive(group: 1);
        var batches = 0;
        while (lone.Ending == Ending.None)
        {
            driver.Advance(9);
            driver.Complete(Assert.Single(driver.Running));
            batches++;
            Enumerable.Range(0, 4).ToList().ForEach(_ => driver.Arrive(group: 2));
        }
        Assert.InRange(batches, 1, 7);       // those ahead of it by deadline fill five, and one ran
    }

    [Fact]
    public void LateGroupsAreServedByTheirDeadlinesToo()
    {
        var driver = new SchedulerDriver(maxBatch: 4, maxQueue: 1000, sloMs: 1);
        driver.Expect(100);
        for (var i = 0; i < 6; i++)
        {
            driver.Arrive(group: 2);
        }
        var lone = driver.Arrive(group: 1);
        driver.Advance(1);
        for (var i = 0; i < 100; i++)
        {
            driver.Arrive(group: 2);
        }
        driver.Ready();
        // The one that ran, two batches with those before it, its own.
        for (var i = 0; i < 4; i++)
        {
            driver.Advance(9);
            driver.Complete(Assert.Single(driver.Running));
        }
        Assert.Equal(Ending.Result, lone.Ending);
    }

    [Fact]
    public void ALateGroupIsPassedOverOnlyByEarlierDeadlines() => Gen.Select(Gen.Int[1, 4], Gen.Select(Gen.Int[0, 5], Gen.Int[1, 40], Gen.Int[0, 8]).Array[20, 150]).Sample((maxBatch, arrivals) =>
    {
        // Three times as much as the instance can do, with deadlines that few make.
        var driver = new SchedulerDriver(maxBatch: maxBatch, maxQueue: 10_000);
        driver.Ready();
        foreach (var (key, timeoutMs, wait) in arrivals)
        {
            driver.Arrive(timeoutMs, group: key);
            driver.Advance(wait / 4.0);
            if (driver.Running.FirstOrDefault() is { } batch && driver.Now >= batch.DispatchedAt + SchedulerDriver.Ms(5 + batch.Count))
            {
                driver.Complete(batch);
                Check(driver);
            }
        }
        while (driver.Scheduler.RequestCount > 0)
        {
            driver.Advance(5 + maxBatch);       // or until a hold has ended
            if (driver.Running.FirstOrDefault() is { } last)
            {
                driver.Complete(last);
                Check(driver);
            }
        }
        Assert.All(driver.Callers, c => Assert.Equal(Ending.Result, c.Ending));
    }, iter: 300);

    private static void Check(SchedulerDriver driver)
    {
        if (driver.Running.FirstOrDefault() is { Reason: BatchReason.Late } late)
        {
            var served = driver.Callers.Where(c => late.Slots.Contains(c.Id.Slot) && c.Ending == Ending.None).Min(c => c.Terms.Deadline);
            Assert.All(driver.Callers.Where(c => c.Ending == Ending.None && c.Terms.Deadline < driver.Now), c => Assert.True(served <= c.Terms.Deadline, $"{c.Number} was passed over"));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WhatWasLateForWantOfAnInstanceIsInTimeOnceThereIsOne(bool isExpectedFirst)
    {
        var driver = new SchedulerDriver(maxQueue: 1000);
        var patient = driver.Arrive(timeoutMs: 1e9, group: 1);
        Assert.Equal(1, driver.Scheduler.LateCount);        // no instance, and none on its way
        if (isExpectedFirst)
        {
            driver.Expect(50);
            Assert.Equal(0, driver.Scheduler.LateCount);
        }
        for (var i = 0; i < 8; i++)
        {
            driver.Arrive(timeoutMs: 1, group: 2);
        }
        driver.Ready();
        // Those that are late and stay so come on and on, each with a deadline before the patient one's.
        for (var i = 0; i < 5 && patient.Ending == Ending.None; i++)
        {
            for (var j = 0; j < 8; j++)
            {
                driver.Arrive(timeoutMs: 1, group: 2);
            }
            driver.Advance(9);
            driver.Complete(Assert.Single(driver.Running));
        }
        Assert.Equal(Ending.Result, patient.Ending);
    }

    [Fact]
    public void WhatIsInTimeAgainWhenAnInstanceIsBackIsServedBeforeWhatIsLate()
    {
        var driver = new SchedulerDriver(maxQueue: 1000, sloMs: 1);
        var instance = driver.Ready();
        driver.Busy(instance, busy: true);
        var patient = driver.Arrive(timeoutMs: 1e9, group: 1);
        var late = driver.Arrive(group: 2);
        driver.Busy(instance, busy: false);
        driver.Advance(6);
        driver.Complete(Assert.Single(driver.Running));
        Assert.Equal((Ending.Result, Ending.None), (patient.Ending, late.Ending));
    }

    /// <summary>An instance that takes up to 4 at once, free now; meanwhile some requests, of key 1, have turned late, and others came that are in time.</summary>
    private static (SchedulerDriver Driver, Caller[] Late) LateThenInTime(int late, int inTime, double? timeoutMs = null, int group = 1, IBatchPolicy? policy = null)
    {
        var driver = new SchedulerDriver(policy ?? new EagerPolicy(), maxBatch: 4, maxQueue: 1000);
        var instance = driver.Ready();
        driver.Busy(instance, busy: true);
        var lateOnes = Enumerable.Range(0, late).Select(_ => driver.Arrive(timeoutMs: 1, group: 1)).ToArray();
        driver.Advance(2);
        for (var i = 0; i < inTime; i++)
        {
            driver.Arrive(timeoutMs, group: group);
        }
        driver.Busy(instance, busy: false);
        return (driver, lateOnes);
    }

    [Fact]
    public void WhatIsLateFillsBatchesUpThatAreNotFull()
    {
        // T_b = 5 + b ms. Two wait in time whenever the instance is done, always: none would ever be idle for what is late.
        var (driver, late) = LateThenInTime(late: 6, inTime: 2);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(4, Assert.Single(driver.Running).Count);
            driver.Arrive(group: 1);
            driver.Arrive(group: 1);
            driver.Advance(9);
            driver.Complete(Assert.Single(driver.Running));
        }
        Assert.All(late, c => Assert.Equal(Ending.Result, c.Ending));
        Assert.Equal(2, Assert.Single(driver.Running).Count);
    }

    [Fact]
    public void WhatIsLateDoesNotFillUpABatchThatThePolicyKeepsSmallThoughOthersWaitInTime()
    {
        var (driver, _) = LateThenInTime(late: 6, inTime: 3, policy: new AtMost(2));
        Assert.Equal(2, Assert.Single(driver.Running).Count);
        driver.Advance(9);
        driver.Complete(Assert.Single(driver.Running));
        // The third is all that waits in time, and late ones go along.
        Assert.Equal(4, Assert.Single(driver.Running).Count);
    }

    [Theory]
    [InlineData(9, 2)]      // 5 + 4 ms would still be in time
    [InlineData(8.5, 1)]
    [InlineData(7, 0)]
    public void WhatIsLateMakesNothingLateThatItGoesAlongWith(double timeoutMs, int expected)
    {
        var (driver, _) = LateThenInTime(late: 2, inTime: 2, timeoutMs: timeoutMs);
        Assert.Equal(2 + expected, Assert.Single(driver.Running).Count);
    }

    [Fact]
    public void ALateGroupTakesItsTurnWithOnesThatKeepUpInSmallBatches()
    {
        // T_b = 5 + b ms; what is in time has 100 ms.
        var (driver, late) = LateThenInTime(late: 1, inTime: 1, group: 2);
        var endings = new List<Ending>();
        for (var i = 0; i < 3; i++)
        {
            driver.Arrive(group: 2);
            driver.Advance(6);
            driver.Complete(Assert.Single(driver.Running));
            endings.Add(late[0].Ending);
        }
        Assert.Equal([Ending.None, Ending.Result, Ending.Result], endings);
        Assert.All(driver.Callers.Where(c => c.Key == 2 && c.Ending == Ending.Result), c => Assert.True(c.EndedAt <= c.Terms.Deadline));
    }

    [Fact]
    public void ALateGroupWaitsWhereOnesInTimeFillBatches()
    {
        var (driver, late) = LateThenInTime(late: 1, inTime: 4, group: 2);
        for (var i = 0; i < 5; i++)
        {
            Enumerable.Range(0, 4).ToList().ForEach(_ => driver.Arrive(group: 2));
            driver.Advance(9);
            driver.Complete(Assert.Single(driver.Running));
        }
        Assert.Equal(Ending.None, late[0].Ending);
    }

    [Theory]
    [InlineData(9.5, 1)]
    [InlineData(18.5, 2)]
    public void AHeldGroupIsNotOvertakenByOneThatWouldMakeItLate(double timeoutMs, int first)
    {
        // T_b = 5 + b ms. Key 1 is held for a second request, which is expected soon; key 2 fills a batch, of 9 ms, and may go first only if 7 ms are left to key 1 then.
        var driver = new SchedulerDriver(new HoldsUntilFull(), maxBatch: 4, sloMs: 1000);
        var instance = driver.Ready();
        driver.Busy(instance, busy: true);
        driver.Expect(0);
        var urgent = Enumerable.Range(0, 2).Select(_ => driver.Arrive(timeoutMs, group: 1)).ToList();
        var others = Enumerable.Range(0, 4).Select(_ => driver.Arrive(group: 2)).ToList();
        driver.Busy(instance, busy: false);
        Assert.Equal(first == 1 ? urgent[0].Id.Slot : others[0].Id.Slot, Assert.Single(driver.Running).Slots[0]);
        driver.Advance(first == 1 ? 7 : 9);
        driver.Complete(Assert.Single(driver.Running));
        driver.Advance(first == 1 ? 9 : 7);
        driver.Complete(Assert.Single(driver.Running));
        Assert.All(driver.Callers, c => Assert.True(c.EndedAt <= c.Terms.Deadline && c.Ending == Ending.Result));
    }

    [Fact]
    public void AHeldGroupWaitsOnWhereAnotherIdleInstanceCanTakeItInTime()
    {
        var driver = new SchedulerDriver(new HoldsUntilFull(), sloMs: 1000);
        driver.Ready();
        driver.Ready();
        var urgent = Enumerable.Range(0, 2).Select(_ => driver.Arrive(9.5, group: 1)).ToList();
        var others = Enumerable.Range(0, 4).Select(_ => driver.Arrive(group: 2)).ToList();
        Assert.Equal(others.Select(o => o.Id.Slot), Assert.Single(driver.Running).Slots.ToArray());
        driver.Advance(2.5);
        Assert.Contains(driver.Running, b => b.Slots.SequenceEqual(urgent.Select(u => u.Id.Slot).ToArray()));
    }

    private sealed class AtMost(int size) : IBatchPolicy
    {
        public BatchDecision Decide(in BatchContext context) => BatchDecision.Dispatch(Math.Min(size, context.Deadlines.Length));

        public void Completed(in BatchFeedback feedback)
        {
            // It does not learn.
        }
    }

    private sealed class HoldsUntilFull : IBatchPolicy
    {
        public BatchDecision Decide(in BatchContext context) =>
            context.IsFull ? BatchDecision.Dispatch(context.Deadlines.Length)
            : context.EarliestDeadline - context.Profile.High(context.Deadlines.Length) is var latest && latest > context.Now ? BatchDecision.WaitUntil(latest)
            : BatchDecision.Dispatch(context.Deadlines.Length);

        public void Completed(in BatchFeedback feedback)
        {
            // It learns nothing.
        }
    }

    [Fact]
    public void RequestsThatMayNotShareABatchAreNotExpectedToLeaveTogether()
    {
        // T_1 = 6 ms: eight of as many keys end at 6, 12, ... 48 ms, where a batch of them would have ended at 13.
        var driver = new SchedulerDriver(maxBatch: 16, sloMs: 10_000);
        driver.Ready();
        var callers = Enumerable.Range(1, 8).Select(key => driver.Arrive(40, WhenUnreachable.Reject, group: key)).ToArray();
        Assert.All(callers[..6], caller => Assert.Equal(Ending.None, caller.Ending));
        Assert.All(callers[6..], caller => Assert.Equal(RejectionReason.DeadlineUnreachable, caller.Reason));
        Assert.All(callers[6..], caller => Assert.Equal(SchedulerDriver.Ms(36), caller.RetryAfter));
    }

    [Fact]
    public void OneKeyOfTwoDoesNotMakeTheOthersTwo()
    {
        // Behind the one that runs until 6 ms, of five keys two, one, one, one, one, which end at 37: the next key would end at 43.
        var driver = new SchedulerDriver(maxBatch: 16, sloMs: 10_000);
        driver.Ready();
        foreach (var key in (int[])[1, 2, 2, 3, 4, 5, 6])
        {
            driver.Arrive(40, WhenUnreachable.ServeLate, group: key);
        }
        Assert.Equal(0, driver.Scheduler.LateCount);
        Assert.Equal(RejectionReason.DeadlineUnreachable, driver.Arrive(40, WhenUnreachable.Reject, group: 8).Reason);
    }

    [Fact]
    public void AKeyGoesToTheInstanceThatAnothersBatchLeavesFree()
    {
        // Both instances are free at 6 ms: one takes the sixteen, the other the one, which is done at 12.
        var driver = new SchedulerDriver(maxBatch: 16, maxQueue: 1000, sloMs: 10_000);
        driver.Ready();
        driver.Ready();
        driver.Arrive(group: 3);
        driver.Arrive(group: 3);
        ArriveOfAnotherKey(driver, 16);
        Assert.Equal(Ending.None, driver.Arrive(14, WhenUnreachable.Reject, group: 2).Ending);
    }

    [Fact]
    public void WhatIsToBeRunAgainMakesBatchesOfItsOwn()
    {
        // Two halves of two wait to be run again, each for 7 ms, behind one that runs until 6: the next ends at 26.
        var driver = new SchedulerDriver(maxBatch: 4, sloMs: 10_000);
        driver.Arrive(poison: true);
        for (var i = 0; i < 3; i++)
        {
            driver.Arrive();
        }
        var instance = driver.Ready();
        driver.Drain(instance);
        driver.Ready();
        driver.Arrive();
        driver.Complete(driver.Running.First(batch => batch.Instance.Id == instance));
        Assert.Equal(RejectionReason.DeadlineUnreachable, driver.Arrive(25, WhenUnreachable.Reject).Reason);
        Assert.Equal(Ending.None, driver.Arrive(27, WhenUnreachable.Reject).Ending);
    }

    [Fact]
    public void ABatchOfAnotherKeyIsSeveralOnAnInstanceThatTakesFewer()
    {
        // One instance takes sixteen and is busy for long, the other takes one, for 6 ms each: the request behind sixteen of another key is done by neither in 20 ms.
        var driver = new SchedulerDriver(maxBatch: 16, maxQueue: 1000, sloMs: 10_000);
        driver.Ready(LatencyProfile.Linear(SchedulerDriver.Ms(500), SchedulerDriver.Ms(1), 16));
        driver.Arrive(group: 3);
        driver.Ready(maxBatch: 1, offering: 1);
        driver.Arrive(group: 3);
        ArriveOfAnotherKey(driver, 16);
        Assert.Equal(RejectionReason.DeadlineUnreachable, driver.Arrive(20, WhenUnreachable.Reject, group: 2).Reason);
    }

    [Fact]
    public void WhatGoesLaterMakesNoBatchesAhead()
    {
        // A hundred keys wait in the lowest class. Fifteen of one key in the highest end in one batch, at 26 ms.
        var driver = new SchedulerDriver(maxBatch: 16, maxQueue: 1000, sloMs: 10_000);
        driver.Ready();
        for (var key = 1; key <= 101; key++)
        {
            driver.Arrive(group: key, priority: RequestPriority.Low);
        }
        var callers = Enumerable.Range(0, 15).Select(_ => driver.Arrive(30, WhenUnreachable.Reject, group: 1000, priority: RequestPriority.High)).ToArray();
        Assert.All(callers, caller => Assert.Equal(Ending.None, caller.Ending));
    }

    [Fact]
    public void AKeyThatManyShareStillFillsItsBatches()
    {
        // Of one key fifteen, of another one: a batch of 20 ms and one of 6, after one of 6.
        var driver = new SchedulerDriver(maxBatch: 16, sloMs: 10_000);
        driver.Ready();
        driver.Arrive();
        var other = driver.Arrive(40, WhenUnreachable.Reject, group: 2);
        var callers = Enumerable.Range(0, 15).Select(_ => driver.Arrive(40, WhenUnreachable.Reject, group: 1)).ToArray();
        Assert.All(callers.Append(other), caller => Assert.Equal(Ending.None, caller.Ending));
    }

    private static void ArriveOfAnotherKey(SchedulerDriver driver, int count)
    {
        for (var i = 0; i < count; i++)
        {
            driver.Arrive(group: 1, priority: RequestPriority.High);
        }
    }
}
