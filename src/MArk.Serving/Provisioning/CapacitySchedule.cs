namespace MArk.Serving.Provisioning;

/// <summary>What the windows of <see cref="ScheduledCapacity"/> want at a time.</summary>
internal sealed class CapacitySchedule
{
    private readonly (ScheduledCapacity What, TimeZoneInfo Zone)[] _windows;

    public CapacitySchedule(IEnumerable<ScheduledCapacity> windows) =>
        _windows = [.. windows.Select(w => (w, TimeZoneInfo.FindSystemTimeZoneById(w.TimeZone)))];

    /// <summary>The window that wants most instances of those that are open at some time of an interval; nothing if none wants any.</summary>
    public ScheduledCapacity? MostInstances(DateTimeOffset from, DateTimeOffset until) =>
        _windows.Where(w => w.What.MinInstances is not null && IsOpen(w, from, until)).Select(w => w.What).MaxBy(w => w.MinInstances);

    /// <summary>The window that wants the highest rate of those that are open at some time of an interval; nothing if none wants any.</summary>
    public ScheduledCapacity? HighestRate(DateTimeOffset from, DateTimeOffset until) =>
        _windows.Where(w => w.What.MinRate is not null && IsOpen(w, from, until)).Select(w => w.What).MaxBy(w => w.MinRate);

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
