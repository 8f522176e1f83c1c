using MArk.Serving.Batching;

namespace MArk.Serving.Tests.Batching;

/// <summary>The README's example of a policy of one's own.</summary>
public sealed class HalfFullPolicy : IBatchPolicy
{
    public BatchDecision Decide(in BatchContext context) =>
        2 * context.QueueLength >= context.MaxBatchSize ? BatchDecision.Dispatch(context.Deadlines.Length)
        : context.EarliestDeadline - context.Profile.High(context.Deadlines.Length) is var latest && latest > context.Now ? BatchDecision.WaitUntil(latest)
        : BatchDecision.Dispatch(context.Deadlines.Length);

    public void Completed(in BatchFeedback feedback) { }
}

/// <summary>Issue 3, feature 1: when a batch leaves, and how large.</summary>
public sealed class BatchPolicyTests
{
    private static TimeSpan Ms(double ms) => TimeSpan.FromMilliseconds(ms);

    // T_b = 5 + b ms: T_1 = 6 ms, T_8 = 13 ms.
    private static readonly LatencyProfile Profile = LatencyProfile.Linear(Ms(5), Ms(1), 8);

    private static BatchDecision Decide(
        IBatchPolicy policy, int waiting, double deadlineMs, double rate = 0, double nowMs = 0, int idle = 0, LatencyProfile? profile = null, double startsMs = 0, int busy = 0) =>
        policy.Decide(new BatchContext
        {
            Now = Ms(nowMs),
            StartsAt = Ms(startsMs),
            Deadlines = Enumerable.Repeat(Ms(deadlineMs), Math.Min(waiting, 8)).ToArray(),
            QueueLength = waiting,
            EarliestDeadline = Ms(deadlineMs),
            HeadArrival = TimeSpan.Zero,
            MaxBatchSize = 8,
            Profile = profile ?? Profile,
            FreeSlots = 1,
            ArrivalRate = rate,
            ReadyInstances = 1 + idle + busy,
            OtherIdleInstances = idle,
            NextInstanceFreeAt = null,
        });

    [Fact]
    public void SloAwareSendsAtOnceWhenLoadIsLow() =>
        Assert.Equal(BatchDecision.Dispatch(1), Decide(new SloAwareBatchPolicy(), 1, 100, rate: 10));

    [Fact]
    public void SloAwareHoldsForAsLongAsOthersComeAndNotForWhatCameBefore()
    {
        // 5000/s came of late. One that has waited for 1 ms may be followed; one that nobody has followed for 13 ms, twice as long as it takes alone, is not held until its deadline.
        Assert.Equal(BatchDecisionKind.WaitUntil, Decide(new SloAwareBatchPolicy(), 1, 1000, rate: 5000, nowMs: 1, startsMs: 1).Kind);
        Assert.Equal(BatchDecision.Dispatch(1), Decide(new SloAwareBatchPolicy(), 1, 1000, rate: 5000, nowMs: 13, startsMs: 13));
    }

    [Fact]
    public void SloAwareSendsAFullBatch() => Assert.Equal(BatchDecision.Dispatch(8), Decide(new SloAwareBatchPolicy(), 20, 100, rate: 5000));

    [Fact]
    public void SloAwareSendsNoMoreThanMeetsTheOldestDeadline() =>
        // 10 ms remain: T_5 = 10 ms.
        Assert.Equal(BatchDecision.Dispatch(5), Decide(new SloAwareBatchPolicy(), 8, 10, rate: 5000));

    [Fact]
    public void SloAwareCountsFromWhenTheInstanceBegins() =>
        // It begins in 3 ms, and 7 ms remain then: T_2 = 7 ms.
        Assert.Equal(BatchDecision.Dispatch(2), Decide(new SloAwareBatchPolicy(), 8, 10, rate: 5000, startsMs: 3));

    [Fact]
    public void SloAwareDoesNotHoldForABatchThatBeginsTooLate()
    {
        // The second is expected in 2 ms, and T_2 = 7 ms: the instance must begin by 20 - 7.
        Assert.Equal(BatchDecisionKind.WaitUntil, Decide(new SloAwareBatchPolicy(), 1, 20, rate: 500, startsMs: 13).Kind);
        Assert.Equal(BatchDecision.Dispatch(1), Decide(new SloAwareBatchPolicy(), 1, 20, rate: 500, startsMs: 13.1));
    }

    [Fact]
    public void SloAwareHoldsWhereAFullerBatchPaysAndMeetsTheDeadline()
    {
        // One now: 1 / 6 ms = 167/s, below the 500/s that arrive. The second is expected in 2 ms: (2 + 7) / 2 < 6, and 9 <= 2 x 6.
        var decision = Decide(new SloAwareBatchPolicy(), 1, 100, rate: 500);
        Assert.Equal(BatchDecisionKind.WaitUntil, decision.Kind);
        Assert.InRange(decision.Until.TotalMilliseconds, 2, 2.001);
    }

    [Fact]
    public void SloAwareDoesNotHoldPastTheDeadline() =>
        // The second is expected in 2 ms, and T_2 = 7 ms: 9 ms, but 8.9 remain.
        Assert.Equal(BatchDecision.Dispatch(1), Decide(new SloAwareBatchPolicy(), 1, 8.9, rate: 500));

    [Fact]
    public void SloAwareMeetsTheDeadlineByTheHighPercentileAndNotByTheMean()
    {
        // The second is expected in 2 ms: 9 ms on the mean, of 12, and 17 by the percentile.
        var profile = new LatencyProfile([new(1, Ms(6), Ms(6)), new(2, Ms(7), Ms(15)), new(4, Ms(9), Ms(17)), new(8, Ms(13), Ms(21))]);
        Assert.Equal(BatchDecision.Dispatch(1), Decide(new SloAwareBatchPolicy(), 1, 12, rate: 500, profile: profile));
        Assert.Equal(BatchDecision.Dispatch(1), Decide(new SloAwareBatchPolicy(), 1, 16.9, rate: 500, profile: profile));
        Assert.Equal(BatchDecisionKind.WaitUntil, Decide(new SloAwareBatchPolicy(), 1, 17, rate: 500, profile: profile).Kind);
    }

    [Fact]
    public void SloAwareDoesNotHoldForASizeThatServesMoreSlowlyThanLeavingNow() =>
        // Four now: 444/s, below the 500/s that arrive. Five in 2 + 10 ms are 417/s, and so on, though all of them take less than one by one.
        Assert.Equal(BatchDecision.Dispatch(4), Decide(new SloAwareBatchPolicy(), 4, 1000, rate: 500));

    [Fact]
    public void SloAwareDoesNotHoldForASizeThatServesMoreSlowlyThanOneAtATime()
    {
        // Two now: 2 in 10 ms. Three in 0.2 + 11 ms are more a second, but take longer than 3 x 2 ms, and so on up to eight, in 1.2 + 16.
        var profile = new LatencyProfile([new(1, Ms(2), Ms(2)), new(2, Ms(10), Ms(10)), new(4, Ms(12), Ms(12)), new(8, Ms(16), Ms(16))]);
        Assert.Equal(BatchDecisionKind.Dispatch, Decide(new SloAwareBatchPolicy(), 2, 1000, rate: 5000, profile: profile).Kind);
    }

    [Fact]
    public void SloAwareDoesNotHoldWhereTheInstancesKeepUpTogether() =>
        // 500/s for four of 167/s each, though none of the others is idle.
        Assert.Equal(BatchDecision.Dispatch(1), Decide(new SloAwareBatchPolicy(), 1, 100, rate: 500, busy: 3));

    [Fact]
    public void SloAwareDoesNotHoldWhileAnotherInstanceIsIdle() =>
        Assert.Equal(BatchDecision.Dispatch(1), Decide(new SloAwareBatchPolicy(), 1, 100, rate: 500, idle: 1));

    [Fact]
    public void SloAwareDoesNotHoldWhereBatchingDoesNotPay() =>
        Assert.Equal(BatchDecision.Dispatch(1), Decide(new SloAwareBatchPolicy(), 1, 1000, rate: 500, profile: LatencyProfile.Linear(TimeSpan.Zero, Ms(5), 8)));

    [Fact]
    public void FixedWindowWaitsForItsWindowWhateverTheDeadline()
    {
        var policy = new FixedWindowBatchPolicy(4, Ms(20));
        Assert.Equal(BatchDecision.WaitUntil(Ms(20)), Decide(policy, 3, 5));
        Assert.Equal(BatchDecision.Dispatch(4), Decide(policy, 4, 5));
        Assert.Equal(BatchDecision.Dispatch(3), Decide(policy, 3, 5, nowMs: 20));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, -1)]
    public void FixedWindowRefusesNonsense(int size, int delayMs) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new FixedWindowBatchPolicy(size, Ms(delayMs)));

    private static void Ran(AimdBatchPolicy policy, int size, double ms, bool succeeded = true) => policy.Completed(new BatchFeedback(size, Ms(ms), succeeded, 0));

    [Fact]
    public void AimdAddsWhileBatchesMeetTheObjectiveAndTakesATenthWhenOneDoesNot()
    {
        var policy = new AimdBatchPolicy(Ms(12));
        var sizes = new List<int>();
        for (var i = 0; i < 40; i++)
        {
            var size = Decide(policy, 20, 1000).Count;
            sizes.Add(size);
            // T_b = 5 + b ms: 7 take 12 ms and 8 take 13.
            Ran(policy, size, 5 + size);
        }
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8, 7, 8, 7], sizes[..11]);
        Assert.InRange(sizes[10..].Average(), 7, 8);
    }

    [Fact]
    public void AimdTakesWhatThereIsAtOnceUpToItsLimit()
    {
        var policy = new AimdBatchPolicy(Ms(12), increase: 4);
        Ran(policy, 1, 6);
        Assert.Equal(BatchDecision.Dispatch(5), Decide(policy, 20, 1000));
        Assert.Equal(BatchDecision.Dispatch(2), Decide(policy, 2, 1000));
    }

    [Fact]
    public void AimdLearnsNothingFromSmallerBatchesAndFailedOnes()
    {
        var policy = new AimdBatchPolicy(Ms(12), increase: 4);
        Ran(policy, 1, 6);
        Ran(policy, 4, 9);
        Ran(policy, 5, 100, succeeded: false);
        Assert.Equal(5, policy.Limit);
    }

    [Fact]
    public void AimdStaysWithinOneAndTheLargestBatch()
    {
        var policy = new AimdBatchPolicy(Ms(12), increase: 100);
        Decide(policy, 1, 1000);
        Ran(policy, 1, 6);
        Assert.Equal(8, policy.Limit);
        for (var i = 0; i < 100; i++)
        {
            Ran(policy, 1, 13);
        }
        Assert.Equal(1, policy.Limit);
    }

    [Theory]
    [InlineData(0, 1, 0.9)]
    [InlineData(10, 0, 0.9)]
    [InlineData(10, double.NaN, 0.9)]
    [InlineData(10, 1, 1)]
    [InlineData(10, 1, double.NaN)]
    public void AimdRefusesNonsense(double objectiveMs, double increase, double decrease) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new AimdBatchPolicy(Ms(objectiveMs), increase, decrease));

    [Fact]
    public void NoBatchingSendsOne() => Assert.Equal(BatchDecision.Dispatch(1), Decide(new NoBatchingPolicy(), 8, 100));

    [Fact]
    public void TheReadmesPolicyWaitsUntilHalfABatchOrTheDeadline()
    {
        Assert.Equal(BatchDecision.Dispatch(4), Decide(new HalfFullPolicy(), 4, 100));
        Assert.Equal(BatchDecision.WaitUntil(Ms(100) - Profile.High(3)), Decide(new HalfFullPolicy(), 3, 100));
        Assert.Equal(BatchDecision.Dispatch(3), Decide(new HalfFullPolicy(), 3, 5));
    }
}
