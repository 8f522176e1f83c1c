namespace MArk.Serving.Tests.Scheduling;

/// <summary>Among requests that are late the class counts too: for who is served first, and for who leaves a full queue.</summary>
public sealed class LateClassTests
{
    // An instance is expected after a second: what wants an answer within 10 ms is late, what has 10 s is in time.
    private static SchedulerDriver Waiting(int maxQueue, double headroom = 0, long maxBytes = long.MaxValue)
    {
        var driver = new SchedulerDriver(new EagerPolicy(), maxBatch: 4, maxQueue: maxQueue, sloMs: 10_000, headroom: headroom, maxBytes: maxBytes);
        driver.Expect(1000);
        return driver;
    }

    private static Caller Late(SchedulerDriver driver, RequestPriority priority, double timeoutMs = 10, long bytes = 0) =>
        driver.Arrive(timeoutMs, WhenUnreachable.ServeLate, priority: priority, bytes: bytes);

    private static int Accepted(SchedulerDriver driver) => driver.Callers.Count(c => c.Ending == Ending.None);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void NoLateRequestLeavesForOneOfALowerClassThatRoomIsKeptFrom(bool isLate)
    {
        var driver = Waiting(100, headroom: 0.5);
        for (var i = 0; i < 40; i++)
        {
            Late(driver, RequestPriority.Normal);
        }
        var low = isLate ? Late(driver, RequestPriority.Low) : driver.Arrive(priority: RequestPriority.Low);
        Assert.Equal((RejectionReason.QueueFull, 40, 40), (low.Reason, Accepted(driver), driver.Scheduler.LateCount));
    }

    [Fact]
    public void RoomThatIsKeptIsKeptInBytesToo()
    {
        var driver = Waiting(100, headroom: 0.5, maxBytes: 1000);
        for (var i = 0; i < 4; i++)
        {
            Late(driver, RequestPriority.Normal, bytes: 100);
        }
        Assert.Equal(RejectionReason.QueueFull, driver.Arrive(priority: RequestPriority.Low, bytes: 100).Reason);
        Assert.Equal(4, Accepted(driver));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WhereRoomIsKeptThoseOfTheSameClassAndOfLowerOnesLeave(bool isLate)
    {
        var driver = Waiting(16, headroom: 0.5);
        var high = Late(driver, RequestPriority.High);
        var normal = Enumerable.Range(0, 5).Select(_ => Late(driver, RequestPriority.Normal)).ToArray();
        var low = Late(driver, RequestPriority.Low);        // room for four
        Assert.Equal(RejectionReason.QueueFull, low.Reason);
        normal = [.. normal, Late(driver, RequestPriority.Normal), Late(driver, RequestPriority.Normal)];       // eight wait, and that is all there is for normal ones
        var newcomer = isLate ? Late(driver, RequestPriority.Normal) : driver.Arrive();
        Assert.Equal((Ending.None, RejectionReason.QueueFull, Ending.None), (newcomer.Ending, normal[0].Reason, high.Ending));
        Assert.Equal(8, Accepted(driver));
    }

    [Fact]
    public void TheLowestClassOfTheLateLeavesAFullQueueFirst()
    {
        var driver = Waiting(3);
        var high = Late(driver, RequestPriority.High, timeoutMs: 5);
        var normal = Late(driver, RequestPriority.Normal, timeoutMs: 10);
        var low = Late(driver, RequestPriority.Low, timeoutMs: 15);
        driver.Arrive(priority: RequestPriority.Low);
        Assert.Equal((Ending.None, Ending.None, RejectionReason.QueueFull), (high.Ending, normal.Ending, low.Reason));
        driver.Arrive(priority: RequestPriority.Low);
        Assert.Equal((Ending.None, RejectionReason.QueueFull), (high.Ending, normal.Reason));
        // Without headroom any request in time goes before one that is late.
        Assert.Equal(Ending.None, driver.Arrive(priority: RequestPriority.Low).Ending);
        Assert.Equal(RejectionReason.QueueFull, high.Reason);
    }

    [Fact]
    public void ALateNewcomerTakesNobodysPlaceOfAHigherClass()
    {
        var driver = Waiting(2);
        var high = Late(driver, RequestPriority.High);
        var low = Late(driver, RequestPriority.Low);
        Assert.Equal(Ending.None, Late(driver, RequestPriority.Normal).Ending);
        Assert.Equal(RejectionReason.QueueFull, low.Reason);
        Assert.Equal(RejectionReason.QueueFull, Late(driver, RequestPriority.Low).Reason);
        Assert.Equal(Ending.None, high.Ending);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void OfLateRequestsTheHighestClassRunsFirst(int groupOfHigh)
    {
        var driver = new SchedulerDriver(maxBatch: 1, sloMs: 1);
        driver.Ready();
        driver.Busy(0, true);
        driver.Arrive(priority: RequestPriority.Low);
        driver.Arrive(priority: RequestPriority.Normal);
        driver.Advance(0.5);
        driver.Arrive(priority: RequestPriority.High, group: groupOfHigh);
        Assert.Equal(3, driver.Scheduler.LateCount);
        driver.Busy(0, false);
        driver.Finish();
        Assert.Equal(["[2]", "[1]", "[0]"], driver.Log.Where(l => l.Contains("dispatch")).Select(l => l.Split(' ')[3]));
    }

    [Fact]
    public void ALateBatchHoldsTheHighestClassesAndWithinOneTheEarliestDeadlines()
    {
        var driver = new SchedulerDriver(maxBatch: 4, sloMs: 1);
        driver.Ready();
        driver.Busy(0, true);
        driver.Arrive(priority: RequestPriority.Low);
        driver.Arrive(1.5);
        driver.Arrive(1.25);
        driver.Arrive();
        driver.Arrive(priority: RequestPriority.High);
        driver.Busy(0, false);
        Assert.Contains("[4 3 2 1] Late", driver.Log[^1]);
    }

    [Fact]
    public void ALightRequestOfALowerClassDoesNotPassAHeavyOneInALateBatch()
    {
        var driver = new SchedulerDriver(maxBatch: 4, sloMs: 1, maxWeight: 5);
        driver.Ready();
        driver.Busy(0, true);
        driver.Arrive(weight: 1, priority: RequestPriority.Low);
        driver.Arrive(weight: 3, priority: RequestPriority.High);
        driver.Arrive(weight: 3, priority: RequestPriority.High);
        driver.Busy(0, false);
        Assert.Contains("[1] Late", driver.Log[^1]);
        driver.Complete(driver.Running.Single());
        Assert.Contains("[2 0] Late", driver.Log[^1]);
    }
}
