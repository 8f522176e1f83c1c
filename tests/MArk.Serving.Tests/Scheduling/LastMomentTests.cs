namespace MArk.Serving.Tests.Scheduling;

/// <summary>The last moment to spill a request comes also for one that is not the first of its queue, and by what a spill takes now.</summary>
public sealed class LastMomentTests
{
    private static SchedulerDriver Hanging(double warmMs, double coldMs, int warm, int maxBatch = 1, LatencyProfile? profile = null)
    {
        // T_1 = 25 ms of 100, and a margin of 5. The batch that runs takes for ever.
        var driver = new SchedulerDriver(new EagerPolicy(), maxBatch, maxQueue: 1000);
        driver.Scheduler.OnQuote(driver.Now, new SpilloverQuote
        {
            Warm = LatencyQuantiles.Constant(SchedulerDriver.Ms(warmMs)),
            Cold = LatencyQuantiles.Constant(SchedulerDriver.Ms(coldMs)),
            WarmConcurrency = warm,
            FreeConcurrency = 100,
            ValidFor = TimeSpan.FromDays(1),
        });
        driver.Ready(profile ?? LatencyProfile.Linear(SchedulerDriver.Ms(24), SchedulerDriver.Ms(1), 1));
        driver.Arrive();
        return driver;
    }

    [Theory]
    [InlineData(null, WhenUnreachable.Spill)]
    [InlineData(95.0, WhenUnreachable.ServeLate)]
    public void WhatWaitsBehindAHeadThatIsNotSpilledIsSpilledAtItsOwn(double? timeoutMs, WhenUnreachable modeOfHead)
    {
        // At 39 ms, when a spill of 60 would only just help the first, it is still reachable. Ten later the second is not.
        var driver = Hanging(60, 60, warm: 100);
        driver.Arrive(timeoutMs, modeOfHead);
        driver.Advance(10);
        var second = driver.Arrive(mode: WhenUnreachable.Spill);
        driver.Advance(41);
        Assert.Equal([second], driver.Spilled);
        Assert.Equal(0, driver.Scheduler.LateCount);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void ItIsByWhatAColdEnvironmentTakesWhereNoneIsWarm(int warm)
    {
        // A warm spill of 40 ms would leave them until 59 ms. A cold one takes 60, and at 39 ms only one of them is reachable.
        var driver = Hanging(40, 60, warm);
        if (warm > 0)
        {
            driver.Arrive(41, WhenUnreachable.Spill);       // takes the warm one
            Assert.Single(driver.Spilled);
        }
        driver.Arrive(mode: WhenUnreachable.Spill);
        driver.Arrive(mode: WhenUnreachable.Spill);
        driver.Advance(51);
        Assert.Equal((warm + 1, 0), (driver.Spilled.Count, driver.Scheduler.LateCount));
    }

    [Fact]
    public void ItIsFoundBehindManyThatAreNotToBeSpilled()
    {
        // Batches of 40 take as long as one: the first of those that wait are a full one, and behind it the last is not reachable at 49 ms.
        var driver = Hanging(60, 60, warm: 100, maxBatch: 40, LatencyProfile.Linear(SchedulerDriver.Ms(24.9), SchedulerDriver.Ms(0.0025), 40));
        for (var i = 0; i < 40; i++)
        {
            driver.Arrive(95 + i / 100.0, WhenUnreachable.ServeLate);
        }
        driver.Advance(10);
        var last = driver.Arrive(mode: WhenUnreachable.Spill);
        driver.Advance(41);
        Assert.Equal([last], driver.Spilled);
    }

    [Theory]
    [InlineData(42, 107)]
    [InlineData(50, 97)]
    public void ItIsSoonerByWhatTheTargetHasTakenBeyondItsQuote(double answeredAfterMs, double spilledAtMs)
    {
        // Where they are answered in time, the quote of 40 is believed; where as many as a batch holds come late, it is a tenth of the objective more.
        var driver = Hanging(40, 40, warm: 100);
        var spilled = SpillAtOnce(driver);
        driver.Advance(answeredAfterMs);
        Answer(driver, spilled);
        driver.Advance(50 - answeredAfterMs);
        // Due at 150; a spill of 40 would help it until 110, and a timer may be late by 3.
        var waits = driver.Arrive(mode: WhenUnreachable.Spill);
        AssertIsSpilledIn(spilledAtMs - 50, driver, waits);
    }

    [Fact]
    public void ItIsStillByTheQuoteWhereTheTargetWasLateInTheMeantime()
    {
        // The margin goes up by ten while the other waits, at 99 ms, when it should have gone two before; by the quote it has until 110.
        var driver = Hanging(40, 40, warm: 100);
        driver.Advance(50);
        var waits = driver.Arrive(mode: WhenUnreachable.Spill);
        var spilled = SpillAtOnce(driver);
        driver.Advance(49);
        Answer(driver, spilled);
        AssertIsSpilledIn(8, driver, waits);
    }

    [Fact]
    public void OneThatWasKeptWhenThatWasSureToHelpIsJudgedAgainByTheQuote()
    {
        // Eighty late answers, of some that cannot wait behind another, make 25 ms. By them the last moment of the one that is due at 170 is at 82, when it may still be in time: the batch that runs
        // is overdue by 57, and may be so again. By the quote of 60 it is at 107, when it may not.
        var driver = Hanging(60, 60, warm: 100);
        driver.Arrive(55, WhenUnreachable.ServeLate);
        var spilled = SpillAtOnce(driver, 80, 65);
        driver.Advance(70);
        Answer(driver, spilled);
        var waits = driver.Arrive(mode: WhenUnreachable.Spill);
        AssertIsSpilledIn(37, driver, waits);
    }

    [Fact]
    public void ThoseThatWereSpilledTooLateForTheMarginTeachNothing()
    {
        // The margin is ten. Those that come after that have 45 ms, and are late again, which no margin would have helped.
        var driver = Hanging(40, 40, warm: 100);
        var spilled = SpillAtOnce(driver);
        driver.Advance(50);
        Answer(driver, spilled);
        var waits = driver.Arrive(mode: WhenUnreachable.Spill);
        spilled = SpillAtOnce(driver);
        driver.Advance(46);
        Answer(driver, spilled);
        AssertIsSpilledIn(1, driver, waits);
    }

    /// <summary>Not before, and within a millisecond.</summary>
    private static void AssertIsSpilledIn(double ms, SchedulerDriver driver, Caller waiting)
    {
        driver.Advance(ms - 0.1);
        Assert.False(waiting.IsSpilled);
        driver.Advance(1.1);
        Assert.True(waiting.IsSpilled);
    }

    /// <summary>Those of 45 ms cannot wait for the instance.</summary>
    private static Caller[] SpillAtOnce(SchedulerDriver driver, int count = 32, double timeoutMs = 45)
    {
        var spilled = Enumerable.Range(0, count).Select(_ => driver.Arrive(timeoutMs, WhenUnreachable.Spill)).ToArray();
        Assert.All(spilled, caller => Assert.True(caller.IsSpilled));
        return spilled;
    }

    private static void Answer(SchedulerDriver driver, Caller[] spilled)
    {
        foreach (var caller in spilled)
        {
            driver.SpillDone(caller, answered: true);
        }
    }
}
