using MArk.Serving.Batching;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 10: each batch records why it left, and what its oldest request had waited.</summary>
public sealed class BatchReasonTests
{
    private static SchedulerDriver Driver(IBatchPolicy? policy = null, double sloMs = 1000, int maxBatch = 4) => new(policy, maxBatch, 100, sloMs);

    private static FixedWindowBatchPolicy Window => new(4, SchedulerDriver.Ms(20));

    private static DispatchedBatch Only(SchedulerDriver driver) => Assert.Single(driver.Running);

    [Fact]
    public void Full()
    {
        var driver = Driver(Window);
        driver.Ready();
        for (var i = 0; i < 4; i++)
        {
            driver.Advance(1);
            driver.Arrive();
        }
        Assert.Equal((BatchReason.Full, SchedulerDriver.Ms(3)), (Only(driver).Reason, Only(driver).OldestWait));
    }

    [Fact]
    public void FullWhereThePolicyWantsNoMoreOfThoseThatWait()
    {
        var driver = Driver(new NoBatchingPolicy());
        driver.Expect(10);
        driver.Arrive();
        driver.Arrive();
        driver.Ready();
        Assert.Equal((BatchReason.Full, 1), (Only(driver).Reason, Only(driver).Count));
    }

    [Fact]
    public void Deadline()
    {
        // T_b = 5 + b ms: of three, two meet the deadline of the first that waits.
        var driver = Driver();
        driver.Expect(10);
        driver.Arrive(27.5);
        driver.Arrive();
        driver.Arrive();
        driver.Advance(20);
        driver.Ready();
        Assert.Equal((BatchReason.Deadline, 2), (Only(driver).Reason, Only(driver).Count));
        Assert.Equal(SchedulerDriver.Ms(20), Only(driver).OldestWait);
    }

    [Fact]
    public void HoldEnded()
    {
        var driver = Driver(Window);
        driver.Ready();
        driver.Arrive();
        driver.Advance(20);
        Assert.Equal((BatchReason.HoldEnded, SchedulerDriver.Ms(20)), (Only(driver).Reason, Only(driver).OldestWait));
    }

    [Fact]
    public void AHoldOfOneGroupSaysNothingOfAnother()
    {
        var driver = Driver(Window);
        driver.Ready();
        driver.Arrive(group: 1);
        driver.Advance(15);
        for (var i = 0; i < 4; i++)
        {
            driver.Arrive(group: 2);
        }
        Assert.Equal((BatchReason.Full, 4), (Only(driver).Reason, Only(driver).Count));
        driver.Advance(10);
        driver.Complete(Only(driver));
        Assert.Equal((BatchReason.HoldEnded, 1), (Only(driver).Reason, Only(driver).Count));
    }

    [Fact]
    public void IdleInstance()
    {
        var driver = Driver();
        driver.Ready();
        driver.Arrive();
        Assert.Equal((BatchReason.IdleInstance, TimeSpan.Zero), (Only(driver).Reason, Only(driver).OldestWait));
    }

    [Fact]
    public void Drain()
    {
        var driver = Driver(Window);
        driver.Ready();
        driver.Arrive();
        driver.Stop();
        Assert.Equal(BatchReason.Drain, Only(driver).Reason);
    }

    [Fact]
    public void Late()
    {
        var driver = Driver(sloMs: 1);
        driver.Ready();
        driver.Arrive();
        Assert.Equal(BatchReason.Late, Only(driver).Reason);
    }

    [Fact]
    public void Retry()
    {
        var driver = Driver();
        driver.Expect(10);
        driver.Arrive(poison: true);
        driver.Arrive();
        driver.Ready();
        driver.Complete(Only(driver));
        Assert.Equal(BatchReason.Retry, Only(driver).Reason);
    }
}
