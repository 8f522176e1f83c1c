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
    public void ARequestThatIsLateDisplacesNobody()
    {
        var driver = Waiting(1);
        var low = driver.Arrive(priority: RequestPriority.Low);
        Assert.Equal(RejectionReason.QueueFull, driver.Arrive(10, WhenUnreachable.ServeLate, priority: RequestPriority.High).Reason);
        Assert.Equal(Ending.None, low.Ending);
    }
}
