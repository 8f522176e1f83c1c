namespace MArk.Serving.Provisioning;

/// <summary>What the windows of <see cref="ScheduledCapacity"/> want at a time.</summary>
internal sealed class CapacitySchedule
{
    private readonly (ScheduledCapacity What, TimeZoneInfo Zone)[] _windows;

    public CapacitySchedule(IEnumerable<ScheduledCapacity> windows) =>
        _windows = [.. windows.Select(w => (w, TimeZoneInfo.FindSystemTimeZoneById(w.TimeZone)))];

    /// <summary>The fewest instances that any window wants which is open at some time of an interval; 0 if none does.</summary>
    public int MinInstances(DateTimeOffset from, DateTimeOffset until) => _windows.Where(w => IsOpen(w, from, until)).Max(w => w.What.MinInstances) ?? 0;

    /// <summary>The highest rate that any such window is to be ready for, requests per second; 0 if there is none.</summary>
    public double MinRate(DateTimeOffset from, DateTimeOffset until) => _windows.Where(w => IsOpen(w, from, until)).Max(w => w.What.MinRate) ?? 0;

    private static bool IsOpen((ScheduledCapacity What, TimeZoneInfo Zone) window, DateTimeOffset from, DateTimeOffset until)
    {
        var (what, zone) = window;
        if (what is not { From: { } time, Duration: { } duration })
        {
            return what.Start < until && what.End > from;
        }
        // From the first local day whose window may still be open, with a day to spare for the offset.
        var last = Day(until).AddDays(1);
        for (var day = Day(from - duration).AddDays(-1); day <= last; day = day.AddDays(1))
        {
            if ((what.Days.Count == 0 || what.Days.Contains(day.DayOfWeek)) && Utc(day + time, zone) is var start && start < until && start + duration > from)
            {
                return true;
            }
        }
        return false;
    }

    // Of no kind, as a clock's time is.
    private static DateTime Day(DateTimeOffset at) => DateTime.SpecifyKind(at.UtcDateTime.Date, DateTimeKind.Unspecified);

    /// <summary>The instant at which a clock shows a time; one that it skips is taken with the offset before.</summary>
    private static DateTimeOffset Utc(DateTime local, TimeZoneInfo zone)
    {
        var offset = zone.IsAmbiguousTime(local) ? zone.GetAmbiguousTimeOffsets(local).Max() : zone.GetUtcOffset(local);
        return new DateTimeOffset(local - offset, TimeSpan.Zero);
    }
}
