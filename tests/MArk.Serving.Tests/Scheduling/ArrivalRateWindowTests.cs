using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 1: the arrival rate that a batch policy is told.</summary>
public sealed class ArrivalRateWindowTests
{
    private readonly ArrivalRateWindow _window = new(SchedulerDriver.Ms(100));

    private double RateAt(double ms) => _window.Rate(SchedulerDriver.Ms(ms));

    [Fact]
    public void NothingArrivedIsARateOfZero() => Assert.Equal(0, RateAt(1234));

    [Theory]
    [InlineData(0, 100)]
    [InlineData(50, 100)]
    [InlineData(99.9, 100)]
    [InlineData(100, 100)]
    [InlineData(150, 50)]
    [InlineData(175, 25)]
    [InlineData(200, 0)]
    [InlineData(100_000, 0)]
    public void ArrivalsCountForAWindowAndFadeOverTheNext(double ms, double rate)
    {
        _window.Add(TimeSpan.Zero, 10);
        Assert.Equal(rate, RateAt(ms), 6);
    }

    [Fact]
    public void BothWindowsCount()
    {
        _window.Add(TimeSpan.Zero, 10);
        _window.Add(SchedulerDriver.Ms(120));
        _window.Add(SchedulerDriver.Ms(120), 5);
        // A quarter of the window has gone by: three quarters of the 10 count, and the 6.
        Assert.Equal(135, RateAt(125), 6);
    }

    [Fact]
    public void AGapOfMoreThanAWindowIsForgotten()
    {
        _window.Add(TimeSpan.Zero, 10);
        _window.Add(SchedulerDriver.Ms(250), 4);
        Assert.Equal(40, RateAt(299), 6);
        Assert.Equal(40, RateAt(300), 6);
        Assert.Equal(20, RateAt(350), 6);
    }
}
