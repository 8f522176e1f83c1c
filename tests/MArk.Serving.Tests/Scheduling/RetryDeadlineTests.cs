using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 2: deadlines of requests whose batch failed, and which wait to be run again.</summary>
public sealed class RetryDeadlineTests
{
    private static DispatchedBatch Only(SchedulerDriver driver) => Assert.Single(driver.Running);

    /// <summary>A batch of two has failed, and its first half runs again: T_1 = 6 ms, until 10 ms as far as is known.</summary>
    private static (SchedulerDriver Driver, Caller Second) HalfWaits(WhenUnreachable mode, double? timeoutMs = 60, double sloMs = 10_000, (double LatencyMs, int Concurrency)? quote = null)
    {
        var driver = new SchedulerDriver(sloMs: sloMs);
        var instance = driver.Ready();
        driver.Busy(instance, true);
        driver.Expect(0);
        driver.Arrive(40, poison: true);
        var second = driver.Arrive(timeoutMs, mode);
        driver.Busy(instance, false);
        driver.Expect(null);
        if (quote is { } q)
        {
            driver.Quote(q.LatencyMs, q.Concurrency);
        }
        driver.Advance(4);
        driver.Complete(Only(driver));
        Assert.Equal((BatchReason.Retry, 1), (Only(driver).Reason, Only(driver).Count));
        Assert.Equal(1, second.Deliveries);
        return (driver, second);
    }

    [Fact]
    public void OneIsRefusedOnTimeWhileTheOtherHalfRuns()
    {
        var (driver, strict) = HalfWaits(WhenUnreachable.Reject);
        driver.Advance(50);
        Assert.Equal(Ending.None, strict.Ending);
        driver.Advance(0.001);
        Assert.Equal((Ending.Rejected, RejectionReason.DeadlineUnreachable), (strict.Ending, strict.Reason));
        driver.Finish();
        Assert.Equal(1, strict.Deliveries);
    }

    [Fact]
    public void OneOfItsOwnDeadlineThatCannotBeSpilledIsNotRunAfterIt()
    {
        var (driver, strict) = HalfWaits(WhenUnreachable.Spill);
        driver.Advance(100);
        driver.Complete(Only(driver));
        Assert.Equal((Ending.Rejected, 1), (strict.Ending, strict.Deliveries));
        Assert.InRange(strict.EndedAt, SchedulerDriver.Ms(54), SchedulerDriver.Ms(54.001));
    }

    [Fact]
    public void OneIsSpilledAtTheLastMomentWhileTheOtherHalfRuns()
    {
        var (driver, second) = HalfWaits(WhenUnreachable.Spill, sloMs: 100, quote: (20, 1));
        // Of 20 ms and the three that a timer may be late.
        driver.Advance(32.9);
        Assert.False(second.IsSpilled);
        driver.Advance(1.1);
        Assert.True(second.IsSpilled);
        driver.SpillDone(second, answered: true);
        Assert.Equal(Ending.Spilled, second.Ending);
    }

    [Fact]
    public void OneThatIsToBeServedLateIsRunHoweverLate()
    {
        var (driver, late) = HalfWaits(WhenUnreachable.ServeLate);
        driver.Advance(1000);
        Assert.Equal(Ending.None, late.Ending);
        driver.Complete(Only(driver));
        driver.Complete(Only(driver));
        Assert.Equal((Ending.Result, 2), (late.Ending, late.Deliveries));
    }

    [Fact]
    public void OneWithoutADeadlineOfItsOwnIsServedLateWhereItCannotBeSpilled()
    {
        var (driver, late) = HalfWaits(WhenUnreachable.Spill, timeoutMs: null, sloMs: 60);
        driver.Advance(1000);
        Assert.Equal(Ending.None, late.Ending);
        driver.Complete(Only(driver));
        driver.Complete(Only(driver));
        Assert.Equal((Ending.Result, 2), (late.Ending, late.Deliveries));
    }

    [Fact]
    public void OneIsRefusedAtOnceWhenTheInstanceIsLostAndNoneIsOnItsWay()
    {
        var (driver, strict) = HalfWaits(WhenUnreachable.Reject);
        driver.Lose([.. driver.Instances]);
        Assert.Equal((Ending.Rejected, RejectionReason.NoCapacity), (strict.Ending, strict.Reason));
    }

    [Fact]
    public void OneIsRefusedOnTimeWhileTheInstanceThatFailedIsOut()
    {
        var (driver, strict) = HalfWaits(WhenUnreachable.Reject, timeoutMs: 200);
        driver.FailInstance(Only(driver));
        Assert.Equal(Ending.None, strict.Ending);
        driver.Advance(250);
        Assert.Equal((Ending.Rejected, RejectionReason.DeadlineUnreachable), (strict.Ending, strict.Reason));
    }

    [Fact]
    public void ACancelledOneIsNotWokenFor()
    {
        var (driver, strict) = HalfWaits(WhenUnreachable.Reject);
        driver.Cancel(strict);
        driver.Advance(100);
        driver.Complete(Only(driver));
        Assert.Equal((0, 0), (driver.Running.Count, driver.Scheduler.WaitingCount));
    }
}
