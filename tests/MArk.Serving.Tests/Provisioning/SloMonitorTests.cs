using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

public sealed class SloMonitorTests
{
    private static readonly DateTimeOffset Start = FleetWorld.Start;
    private static readonly TimeSpan Slot = TimeSpan.FromSeconds(5);

    private readonly SloMonitor _monitor = new(0.99, TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(5));
    private DateTimeOffset _now = Start;

    private void Observe(long offered, long missed)
    {
        _monitor.Observe(_now + Slot, new OutcomeSample(_now, Slot, offered, offered - missed));
        _now += Slot;
    }

    [Theory]
    [InlineData(3, 3, false)]          // three unlucky ones say nothing
    [InlineData(19, 19, false)]
    [InlineData(20, 20, true)]
    [InlineData(100, 2, false)]        // 2 of 100 happen to one that misses 1 in 100
    [InlineData(100, 8, true)]
    [InlineData(1000, 12, false)]
    [InlineData(1000, 30, true)]
    [InlineData(100_000, 1000, false)] // the allowed share
    [InlineData(100_000, 1200, true)]
    public void ABreakIsFewerInTimeThanTheLevelByMoreThanAccident(long offered, long missed, bool isBroken)
    {
        Observe(offered, missed);
        Assert.Equal((isBroken, isBroken ? 1 : 0), (_monitor.IsBroken, _monitor.Breaks));
    }

    [Fact]
    public void WhatIsOlderThanTheWindowIsForgotten()
    {
        Observe(100, 50);
        Assert.True(_monitor.IsBroken);
        for (var i = 0; i < 5; i++)
        {
            Observe(1, 0);
            Assert.True(_monitor.IsBroken);
        }
        Observe(1, 0);
        Assert.False(_monitor.IsBroken);
        Assert.Equal(1, _monitor.Attainment);
    }

    [Fact]
    public void TheHoldEndsOnlyAfterTheObjectiveWasKeptAllThroughTheCalm()
    {
        Observe(100, 50);
        var broken = _now;
        Assert.True(_monitor.IsHeld(broken + TimeSpan.FromSeconds(299)));
        for (var i = 0; i < 20; i++)
        {
            Observe(1000, 0);
        }
        // Not a break, and not kept either: the calm begins anew; it is no new break.
        Observe(1000, 65);
        var last = _now;
        for (var i = 0; i < 65; i++)
        {
            Observe(1000, 0);
        }
        Assert.Equal(1, _monitor.Breaks);
        Assert.True(_monitor.IsHeld(last + TimeSpan.FromSeconds(300)));
        Assert.False(_monitor.IsHeld(_now));
        Observe(1000, 500);
        Assert.Equal(2, _monitor.Breaks);
    }

    [Fact]
    public void AfterMoreCapacityCameOnlyWhatArrivesFromThenOnCounts()
    {
        Observe(100, 50);
        _monitor.Restart(_now + TimeSpan.FromSeconds(1));
        Assert.False(_monitor.IsBroken);
        // One in which it came, and one for the backlog.
        Observe(100, 50);
        Observe(100, 50);
        Assert.False(_monitor.IsBroken);
        Observe(100, 50);
        Assert.True(_monitor.IsBroken);
    }

    [Fact]
    public void ASlotThatIsLongerThanTheWindowIsJudgedByItself()
    {
        var monitor = new SloMonitor(0.99, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(5));
        monitor.Observe(Start + Slot, new OutcomeSample(Start, Slot, 100, 0));
        Assert.True(monitor.IsBroken);
        monitor.Observe(Start + 2 * Slot, new OutcomeSample(Start + Slot, Slot, 100, 100));
        Assert.False(monitor.IsBroken);
    }

    [Fact]
    public void TheRateIsThatOfTheBusiestSlotThatHasEnoughToSaySo()
    {
        Observe(10, 0);
        Assert.Equal(2, _monitor.Rate);
        Observe(200, 0);
        Assert.Equal(40, _monitor.Rate);
        Observe(0, 0);
        Assert.Equal(40, _monitor.Rate);
    }
}
