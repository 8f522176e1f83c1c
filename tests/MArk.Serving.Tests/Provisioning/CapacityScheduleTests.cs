using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

public sealed class CapacityScheduleTests
{
    private static readonly InstanceOffering A = new() { Name = "a", PricePerHour = 1, LaunchDelay = TimeSpan.FromSeconds(150) };

    private static DateTimeOffset At(string utc) => DateTimeOffset.Parse(utc, System.Globalization.CultureInfo.InvariantCulture);

    private static int Min(ScheduledCapacity window, string utc) => new CapacitySchedule([window]).MostInstances(At(utc), At(utc).AddTicks(1))?.MinInstances ?? 0;

    [Theory]
    [InlineData("2026-01-05T07:59:59Z", 0)]     // a Monday; Berlin is an hour ahead
    [InlineData("2026-01-05T08:00:00Z", 5)]
    [InlineData("2026-01-05T15:59:59Z", 5)]
    [InlineData("2026-01-05T16:00:00Z", 0)]
    [InlineData("2026-01-06T09:00:00Z", 0)]     // no Monday
    [InlineData("2026-07-06T07:00:00Z", 5)]     // two hours ahead in summer
    [InlineData("2026-07-06T15:00:00Z", 0)]
    public void AWeeklyWindowFollowsTheClockOfItsTimeZone(string utc, int expected) => Assert.Equal(expected, Min(
        new ScheduledCapacity { Days = [DayOfWeek.Monday], From = TimeSpan.FromHours(9), Duration = TimeSpan.FromHours(8), TimeZone = "Europe/Berlin", MinInstances = 5 }, utc));

    [Theory]
    [InlineData("2026-01-05T22:59:00Z", 0)]
    [InlineData("2026-01-05T23:00:00Z", 2)]
    [InlineData("2026-01-06T01:59:00Z", 2)]
    [InlineData("2026-01-06T02:00:00Z", 0)]
    public void ADailyWindowMayReachPastMidnight(string utc, int expected) => Assert.Equal(expected, Min(
        new ScheduledCapacity { From = TimeSpan.FromHours(23), Duration = TimeSpan.FromHours(3), MinInstances = 2 }, utc));

    [Theory]
    [InlineData("2026-03-29T01:30:00Z", 1)]     // 02:30 is skipped in Berlin that day: with the offset before, it is 01:30 UTC
    [InlineData("2026-03-29T01:29:00Z", 0)]
    [InlineData("2026-10-25T00:30:00Z", 1)]     // shown twice: the first
    [InlineData("2026-10-25T00:29:00Z", 0)]
    [InlineData("2026-10-25T01:30:00Z", 0)]
    public void TimesThatTheClockSkipsOrShowsTwiceAreTakenOnce(string utc, int expected) => Assert.Equal(expected, Min(
        new ScheduledCapacity { From = TimeSpan.FromHours(2.5), Duration = TimeSpan.FromHours(1), TimeZone = "Europe/Berlin", MinInstances = 1 }, utc));

    [Fact]
    public void AWindowThatComesOnceIsOpenOnceAndTheHighestOfThoseOpenCounts()
    {
        var schedule = new CapacitySchedule(
        [
            new ScheduledCapacity { Start = At("2026-02-01T12:00Z"), End = At("2026-02-01T14:00Z"), MinRate = 500 },
            new ScheduledCapacity { From = TimeSpan.FromHours(13), Duration = TimeSpan.FromHours(4), MinRate = 200, MinInstances = 1 },
        ]);
        Assert.Equal([0, 500, 500, 200, 0], ((string[])["11:00", "12:00", "13:30", "15:00", "18:00"]).Select(t => schedule.HighestRate(At($"2026-02-01T{t}Z"), At($"2026-02-01T{t}Z").AddMinutes(1))?.MinRate ?? 0));
        Assert.Equal(200, schedule.HighestRate(At("2026-02-02T13:30Z"), At("2026-02-02T13:31Z"))!.MinRate);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void WhatAWindowWantsIsLaunchedEarlyByTheLaunchDelay(bool byRate)
    {
        // It opens ten minutes after the start; a launch takes two and a half, and plans are a minute apart.
        var window = new ScheduledCapacity { Name = "fair", Start = FleetWorld.Start.AddSeconds(600), End = FleetWorld.Start.AddSeconds(900), MinRate = byRate ? 300 : null, MinInstances = byRate ? null : 3 };
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, Horizon = 20, Schedule = new CapacitySchedule([window]) }, [A], new ZeroPredictor(), new GreedyPlanner());
        DateTimeOffset? launched = null;
        while (launched is null)
        {
            world.Tick();
            launched = world.Launching.Count == 3 ? world.Now : null;
            Assert.True(launched is not null || world.Launching.Count == 0);
            if (launched is null)
            {
                world.Advance(60);
            }
        }
        Assert.InRange((launched.Value - FleetWorld.Start).TotalSeconds, 600 - 150 - 120, 600 - 150);
        Assert.Contains(world.Controller.Explanation.Bounds, b => b.Kind == PlanBoundKind.Schedule && b.Text == (byRate ? "ScheduledCapacity: 300 requests/s within the horizon for 'fair'" : "ScheduledCapacity: at least 3 instances for 'fair'"));
    }

    [Fact]
    public void TheGuardRailsGoBeforeTheSchedule()
    {
        var window = new ScheduledCapacity { Start = FleetWorld.Start, End = FleetWorld.Start.AddSeconds(900), MinInstances = 8 };
        var world = new FleetWorld(new FleetSettings { Fleet = "m", MinInstances = 0, MaxInstances = 6, MaxHourlySpend = 4, Schedule = new CapacitySchedule([window]) }, [A], new ZeroPredictor(), new CostOptimalPlanner());
        world.Tick();
        Assert.Equal(4, world.Launching.Count);
    }

    private sealed class ZeroPredictor : IWorkloadPredictor
    {
        public void Observe(in ArrivalSample sample)
        {
            // The forecast does not depend on it.
        }

        public void Forecast(WorkloadForecast forecast)
        {
            forecast.Mean.Clear();
            forecast.Peak.Clear();
            for (var level = 0; level < forecast.Levels.Length; level++)
            {
                forecast.Quantile(level).Clear();
            }
        }
    }
}
