namespace MArk.Serving.Provisioning;

/// <summary>
/// A window for which a fleet is to be ready, since an event is known that no forecast can know of: a day's or week's window, by <see cref="From"/> and <see cref="Duration"/>,
/// or one that comes once, by <see cref="Start"/> and <see cref="End"/>. What it wants enters the plan early by the launch delay. The guard rails go before it.
/// </summary>
public sealed class ScheduledCapacity
{
    /// <summary>What it is for, for the plan's explanation. Default empty.</summary>
    public string Name { get; set; } = "";

    /// <summary>The days on which a recurring window begins. Default empty: every day.</summary>
    public List<DayOfWeek> Days { get; set; } = [];

    /// <summary>When a recurring window begins, as the clock of <see cref="TimeZone"/> shows: 00:00:00 to less than 24 h. A time that the clock shows twice is the first of the two.</summary>
    public TimeSpan? From { get; set; }

    /// <summary>How long a recurring window lasts: more than 0, at most 7 days.</summary>
    public TimeSpan? Duration { get; set; }

    /// <summary>When a window begins that comes once.</summary>
    public DateTimeOffset? Start { get; set; }

    /// <summary>When it ends; after <see cref="Start"/>.</summary>
    public DateTimeOffset? End { get; set; }

    /// <summary>The time zone of a recurring window, by its IANA or system name. Default <c>UTC</c>.</summary>
    public string TimeZone { get; set; } = "UTC";

    /// <summary>The fewest instances in the window: 1 to <see cref="FleetOptions.MaxInstances"/>; <see langword="null"/> for no more than otherwise.</summary>
    public int? MinInstances { get; set; }

    /// <summary>The rate to be ready for in the window, whatever is forecast below it, requests per second: more than 0, at most 1e9; <see langword="null"/> for what is forecast.</summary>
    public double? MinRate { get; set; }
}
