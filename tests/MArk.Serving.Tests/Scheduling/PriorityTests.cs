namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 5: priority classes, and the headroom that is kept for the higher ones.</summary>
public sealed class PriorityTests
{
    private static SchedulerDriver Waiting(int maxQueue, double headroom = 0)
    {
        var driver = new SchedulerDriver(maxBatch: 4, maxQueue: maxQueue, sloMs: 10_000, headroom: headroom);
        driver.Expect(1000);
        return driver;
    }

    private static int Accepted(SchedulerDriver driver, RequestPriority priority, int count = 200) =>
        Enumerable.Range(0, count).Count(_ => driver.Arrive(priority: priority).Ending == Ending.None);

    [Theory]
    [InlineData(RequestPriority.High, 100)]
    [InlineData(RequestPriority.Normal, 80)]
    [InlineData(RequestPriority.Low, 64)]
    public void HeadroomIsKeptForHigherClasses(RequestPriority priority, int room) => Assert.Equal(room, Accepted(Waiting(100, headroom: 0.2), priority));

    [Fact]
    public void WhatHigherClassesTakeOfTheirHeadroomLeavesTheOthersTheirs()
    {
        var driver = Waiting(100, headroom: 0.2);
        Assert.Equal(80, Accepted(driver, RequestPriority.Normal));
        Assert.Equal(20, Accepted(driver, RequestPriority.High, 20));
        Assert.Equal(80, driver.Callers.Count(c => c.Terms.Priority == RequestPriority.Normal && c.Ending == Ending.None));
    }

    [Fact]
    public void WithoutHeadroomAllClassesSeeTheWholeQueue() => Assert.Equal(100, Accepted(Waiting(100), RequestPriority.Low));

    [Fact]
    public void AHighRequestDisplacesTheLastOfTheLowestClass()
    {
        var driver = Waiting(3);
        var normal = driver.Arrive();
        var early = driver.Arrive(5000, priority: RequestPriority.Low);
        var late = driver.Arrive(9000, priority: RequestPriority.Low);
        Assert.Equal(Ending.None, driver.Arrive(priority: RequestPriority.High).Ending);
        Assert.Equal(RejectionReason.QueueFull, late.Reason);
        Assert.Equal(Ending.None, driver.Arrive(priority: RequestPriority.High).Ending);
        Assert.Equal(RejectionReason.QueueFull, early.Reason);
        Assert.Equal(Ending.None, driver.Arrive(priority: RequestPriority.High).Ending);
        Assert.Equal(RejectionReason.QueueFull, normal.Reason);
        Assert.Equal(RejectionReason.QueueFull, driver.Arrive(priority: RequestPriority.High).Reason);
    }

    [Fact]
    public void WhatIsDisplacedIsSpilledWhereItCanBe()
    {
        var driver = Waiting(1);
        driver.Quote(10, 1);
        var low = driver.Arrive(5000, WhenUnreachable.Spill, priority: RequestPriority.Low);
        driver.Arrive(priority: RequestPriority.High);
        Assert.True(low.IsSpilled);
    }

    [Fact]
    public void AHigherClassGoesFirstThoughItsGroupIsAnotherAndItsDeadlineFarther()
    {
        var driver = Waiting(10);
        driver.Arrive(5000, group: 1, priority: RequestPriority.Low);
        driver.Arrive(9000, group: 2, priority: RequestPriority.High);
        driver.Arrive(7000, group: 3);
        Assert.Equal([1, 2, 0], OrderOfOneByOne(driver));
    }

    [Fact]
    public void WithinAGroupTheClassesGoInTheirOrder()
    {
        var driver = Waiting(10);
        driver.Arrive(5000, priority: RequestPriority.Low);
        driver.Arrive(7000);
        driver.Arrive(9000, priority: RequestPriority.High);
        driver.Arrive(6000);
        Assert.Equal([2, 3, 1, 0], OrderOfOneByOne(driver));
    }

    private static List<int> OrderOfOneByOne(SchedulerDriver driver)
    {
        var order = new List<int>();
        driver.Dispatched = (_, callers) => order.Add(Assert.Single(callers).Number);
        driver.Ready(maxBatch: 1);
        driver.Finish();
        return order;
    }

    [Fact]
    public void AllOfHigherClassesAreAheadOfARequestHoweverFarTheirDeadlines()
    {
        var driver = Waiting(100);
        driver.Ready();
        driver.Arrive();
        for (var i = 0; i < 40; i++)
        {
            driver.Arrive(priority: RequestPriority.High);
        }
        // One runs for 6 ms, and 40 take ten batches of 9 ms: what comes before them would be done in 12, and is what they are not.
        Assert.Equal(RejectionReason.DeadlineUnreachable, driver.Arrive(25, WhenUnreachable.Reject, priority: RequestPriority.Low).Reason);
        Assert.Equal(Ending.None, driver.Arrive(25, WhenUnreachable.Reject, priority: RequestPriority.High).Ending);
    }

    [Theory]
    [InlineData(RequestPriority.High, 10)]
    [InlineData(RequestPriority.Normal, 8)]
    [InlineData(RequestPriority.Low, 6)]
    public void HeadroomIsKeptInBytesToo(RequestPriority priority, int room)
    {
        var driver = new SchedulerDriver(maxQueue: 100, sloMs: 10_000, maxBytes: 1000, headroom: 0.2);
        driver.Expect(1000);
        Assert.Equal(room, Enumerable.Range(0, 20).Count(_ => driver.Arrive(bytes: 100, priority: priority).Ending == Ending.None));
    }

    [Fact]
    public void ARequestThatIsLateDisplacesNobody()
    {
        var driver = Waiting(1);
        var low = driver.Arrive(priority: RequestPriority.Low);
        Assert.Equal(RejectionReason.QueueFull, driver.Arrive(10, WhenUnreachable.ServeLate, priority: RequestPriority.High).Reason);
        Assert.Equal(Ending.None, low.Ending);
    }

    [Fact]
    public void NoRequestIsGivenUpForTheSakeOfALowerClass()
    {
        // T_b = 5 + b ms, 762/s in batches of 16, and 1000/s arrive: with the high one, which has 18 ms left, 13 fit, without it 16, which serves more.
        var driver = Overloaded();
        var high = driver.Arrive(30, WhenUnreachable.Reject, priority: RequestPriority.High);
        driver.Advance(12);
        driver.Complete(Assert.Single(driver.Running));
        Assert.Equal((Ending.None, 1, 13), (high.Ending, high.Deliveries, Assert.Single(driver.Running).Count));
    }

    [Fact]
    public void OneThatIsNotGivenUpKeepsNoLowerOneThatIsInItsWay()
    {
        // As above, and one of the low ones has 6.5 ms left, for which one alone would have to go: it is given up, and thirteen go with the high one.
        var driver = Overloaded();
        driver.Arrive(18.5, WhenUnreachable.ServeLate, priority: RequestPriority.Low);
        Assert.Equal(0, driver.Scheduler.LateCount);
        var high = driver.Arrive(30, WhenUnreachable.Reject, priority: RequestPriority.High);
        driver.Advance(12);
        driver.Complete(Assert.Single(driver.Running));
        Assert.Equal((Ending.None, 1, 13, 1), (high.Ending, high.Deliveries, Assert.Single(driver.Running).Count, driver.Scheduler.LateCount));
    }

    // T_b = 5 + b ms, and a hundred of the lowest class come within a tenth of a second, with time enough.
    private static SchedulerDriver Overloaded()
    {
        var driver = new SchedulerDriver(maxBatch: 16, maxQueue: 1000, sloMs: 20);
        driver.Ready();
        for (var i = 0; i < 100; i++)
        {
            driver.Arrive(10_000, WhenUnreachable.ServeLate, priority: RequestPriority.Low);
        }
        return driver;
    }
}
