using MArk.Serving.Provisioning;

namespace MArk.Serving.Configuration;

/// <summary>Checks one window of scheduled capacity.</summary>
internal static class ScheduledCapacityValidator
{
    /// <summary>Checks it.</summary>
    /// <param name="window">The window.</param>
    /// <param name="maxInstances">The most instances of the fleet.</param>
    /// <param name="check">Told of each setting whether it is good, its key, its value, and what is accepted.</param>
    public static void Check(ScheduledCapacity window, int maxInstances, Action<bool, string, object?, string> check)
    {
        var isRecurring = window.Start is null && window.End is null;
        if (isRecurring)
        {
            check(window.From >= TimeSpan.Zero && window.From < TimeSpan.FromDays(1), nameof(window.From), window.From, "00:00:00 to less than 1.00:00:00, or Start and End for a window that comes once");
            check(window.Duration > TimeSpan.Zero && window.Duration <= TimeSpan.FromDays(7), nameof(window.Duration), window.Duration, "more than 00:00:00, at most 7.00:00:00");
        }
        else
        {
            check(window.Start is not null, nameof(window.Start), window.Start, "an instant, as there is an End");
            check(window.End is not null && !(window.End <= window.Start), nameof(window.End), window.End, $"an instant after Start, {window.Start}");
            check(window.From is null, nameof(window.From), window.From, "nothing, as the window comes once, from Start to End");
            check(window.Duration is null, nameof(window.Duration), window.Duration, "nothing, as the window comes once, from Start to End");
            check(window.Days.Count == 0, nameof(window.Days), string.Join(", ", window.Days), "nothing, as the window comes once, from Start to End");
        }
        check(TimeZoneInfo.TryFindSystemTimeZoneById(window.TimeZone, out _), nameof(window.TimeZone), $"'{window.TimeZone}'", "the name of a time zone that this machine knows, such as UTC or Europe/Berlin");
        check(window.MinInstances is null || (window.MinInstances >= 1 && window.MinInstances <= maxInstances), nameof(window.MinInstances), window.MinInstances, $"1 to MaxInstances less StandbyInstances, {maxInstances}, or nothing");
        check(window.MinRate is null or (> 0 and <= 1e9), nameof(window.MinRate), window.MinRate, "more than 0, at most 1e9, or nothing");
        check(window.MinInstances is not null || window.MinRate is not null, nameof(window.MinInstances), window.MinInstances, "a number, as there is no MinRate either");
    }
}
