using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 3: failures of an instance, and the extra runs that failures of inputs cost.</summary>
public sealed class InstanceFailureTests
{
    private static SchedulerDriver OneInstance(int maxQueue = 100) => new(maxBatch: 4, maxQueue: maxQueue, sloMs: 10_000);

    private static DispatchedBatch Only(SchedulerDriver driver) => Assert.Single(driver.Running);

    [Fact]
    public void RequestsOfAFailedInstanceGoToAnother()
    {
        var driver = OneInstance();
        driver.Ready();
        var first = driver.Arrive();
        var second = driver.Ready();
        driver.Advance(2);
        driver.FailInstance(Only(driver));
        Assert.Equal(second, Only(driver).Instance.Id);
        driver.Finish();
        Assert.Equal(Ending.Result, first.Ending);
        Assert.Equal(2, first.Deliveries);
    }

    [Fact]
    public void ARequestOfAFailedInstanceKeepsItsDeadlineAndWithItItsPlace()
    {
        var driver = OneInstance();
        driver.Ready();
        var first = driver.Arrive(1000);
        driver.Advance(500);
        var second = driver.Arrive(700);
        driver.FailInstance(Only(driver));
        driver.Ready(maxBatch: 1);
        Assert.Equal((2, 0), (first.Deliveries, second.Deliveries));
    }

    [Fact]
    public void WhatWasAnsweredBeforeTheInstanceFailedIsNotRunAgain()
    {
        var driver = OneInstance();
        driver.Expect(10);
        var callers = Enumerable.Range(0, 3).Select(_ => driver.Arrive()).ToArray();
        driver.Ready();
        driver.Ready();
        driver.FailInstance(Only(driver), answeredFirst: 2);
        driver.Finish();
        Assert.Equal([1, 1, 2], callers.Select(c => c.Deliveries));
        Assert.All(callers, c => Assert.Equal(Ending.Result, c.Ending));
    }

    [Fact]
    public void ARequestUnderWhichTooManyInstancesFailFails()
    {
        var driver = OneInstance();
        var caller = driver.Arrive(mode: WhenUnreachable.ServeLate);
        for (var i = 0; i < 3; i++)
        {
            driver.Ready();
            driver.FailInstance(Only(driver));
        }
        Assert.Equal((Ending.Failed, 3), (caller.Ending, caller.Deliveries));
    }

    [Fact]
    public void WhatRanOnOneOfTwoInstancesThatAreLostTogetherIsNotGivenToTheOther()
    {
        var driver = OneInstance();
        var first = driver.Ready();
        var caller = driver.Arrive();
        var second = driver.Ready();
        driver.Expect(10);
        driver.Lose([first, second]);
        Assert.Equal((Ending.None, 1), (caller.Ending, caller.Deliveries));
        driver.Ready();
        driver.Finish();
        Assert.Equal((Ending.Result, 2), (caller.Ending, caller.Deliveries));
    }

    [Fact]
    public void OneThatIsBusyIsLeftAloneForAsLongAsItSaysAndNothingIsHeldAgainstItsRequests()
    {
        var driver = OneInstance();
        var id = driver.Ready();
        var caller = driver.Arrive(mode: WhenUnreachable.ServeLate);
        for (var i = 0; i < 5; i++)
        {
            driver.FailInstance(Only(driver), busyFor: TimeSpan.FromMilliseconds(300));
            driver.Advance(299);
            Assert.Empty(driver.Probing);
            driver.Advance(2);
            driver.ProbeDone(Assert.Single(driver.Probing), ok: true);
        }
        Assert.Equal(id, Only(driver).Instance.Id);
        driver.Finish();
        Assert.Equal((Ending.Result, 6), (caller.Ending, caller.Deliveries));
    }

    [Fact]
    public void AFailedInstanceGetsNothingUntilItsProbeSucceeds()
    {
        var driver = OneInstance();
        var id = driver.Ready();
        var caller = driver.Arrive();
        driver.FailInstance(Only(driver));
        driver.Advance(49);
        Assert.Empty(driver.Probing);
        driver.Advance(51);
        Assert.Equal([id], driver.Probing);
        Assert.Empty(driver.Running);
        driver.ProbeDone(id, ok: true);
        Assert.Equal(id, Only(driver).Instance.Id);
        driver.Finish();
        Assert.Equal(Ending.Result, caller.Ending);
    }

    [Fact]
    public void TheTimeOutDoublesUpToItsLimitAndIsForgottenOnceABatchRanWell()
    {
        var driver = OneInstance();
        var id = driver.Ready();
        driver.Arrive();
        driver.FailInstance(Only(driver));
        var expected = 100.0;
        for (var i = 0; i < 12; i++)
        {
            var waited = WaitForProbe(driver);
            Assert.InRange(waited, expected / 2, expected + 1);
            driver.ProbeDone(id, ok: false);
            expected = Math.Min(2 * expected, 30_000);
        }
        WaitForProbe(driver);
        driver.ProbeDone(id, ok: true);
        driver.Complete(Only(driver));
        driver.Arrive();
        driver.FailInstance(Only(driver));
        Assert.InRange(WaitForProbe(driver), 50, 101);
    }

    private static double WaitForProbe(SchedulerDriver driver)
    {
        var since = driver.Now;
        while (driver.Probing.Count == 0)
        {
            driver.Advance(1);
        }
        return (driver.Now - since).TotalMilliseconds;
    }

    [Fact]
    public void WithNothingToProbeWithTheNextSingleRequestIsTheProbe()
    {
        var driver = OneInstance();
        var id = driver.Ready();
        for (var i = 0; i < 6; i++)
        {
            driver.Arrive();
        }
        driver.FailInstance(Only(driver));
        WaitForProbe(driver);
        driver.ProbeDone(id, ok: null);
        Assert.Equal(1, Only(driver).Count);
        driver.Complete(Only(driver));
        Assert.Equal(4, Only(driver).Count);
    }

    [Fact]
    public void ATrialThatFailsPutsTheInstanceOutForLonger()
    {
        var driver = OneInstance();
        var id = driver.Ready();
        driver.Arrive();
        driver.FailInstance(Only(driver));
        WaitForProbe(driver);
        driver.ProbeDone(id, ok: null);
        driver.FailInstance(Only(driver));
        Assert.InRange(WaitForProbe(driver), 100, 201);
    }

    [Fact]
    public void WhatCannotWaitForTheProbeIsJudgedAtOnce()
    {
        var driver = OneInstance();
        driver.Ready();
        driver.Arrive();
        var patient = driver.Arrive(1000, WhenUnreachable.Reject);
        var hasty = driver.Arrive(40, WhenUnreachable.Reject);
        driver.FailInstance(Only(driver));
        Assert.Equal((Ending.Rejected, RejectionReason.DeadlineUnreachable), (hasty.Ending, hasty.Reason));
        Assert.Equal(Ending.None, patient.Ending);
    }

    [Fact]
    public void AnotherBatchUnderWayOnAFailedInstanceDoesNotCountTwice()
    {
        var driver = OneInstance();
        driver.Ready(slots: 2);
        driver.Arrive();
        driver.Arrive();
        var batches = driver.Running.ToArray();
        Assert.Equal(2, batches.Length);
        driver.FailInstance(batches[0]);
        driver.FailInstance(batches[1]);
        Assert.InRange(WaitForProbe(driver), 50, 101);
    }

    [Fact]
    public void TheExtraRunsOfAFailedBatchAreBounded()
    {
        var driver = new SchedulerDriver(maxBatch: 16, maxQueue: 100, sloMs: 10_000, maxRetryRuns: 5);
        driver.Expect(10);
        var callers = Enumerable.Range(0, 16).Select(_ => driver.Arrive(poison: true)).ToArray();
        driver.Ready();
        driver.Finish();
        Assert.All(callers, c => Assert.Equal(Ending.Failed, c.Ending));
        Assert.Equal(4, driver.ExtraRuns);      // two halves and the halves of one; for another two there is no budget
    }

    [Fact]
    public void OneCulpritOf32IsFoundInTenExtraRuns()
    {
        var driver = new SchedulerDriver(maxBatch: 32, maxQueue: 100, sloMs: 10_000);
        driver.Expect(10);
        var callers = Enumerable.Range(0, 32).Select(i => driver.Arrive(poison: i == 13)).ToArray();
        driver.Ready();
        driver.Finish();
        Assert.Equal([13], callers.Where(c => c.Ending == Ending.Failed).Select(c => c.Number));
        Assert.Equal(10, driver.ExtraRuns);
    }
}
