namespace MArk.Serving.Prediction;

/// <summary>The wall clock of a time zone, for seasons. Interval lengths and instants are in ticks; an instant is UTC.</summary>
internal sealed class SeasonClock(TimeZoneInfo zone)
{
    // Offsets change at whole quarters of an hour.
    private long _quarter = long.MinValue;
    private long _offset;

    /// <summary>The local instant of a UTC one.</summary>
    public long Local(long utcTicks)
    {
        var quarter = utcTicks / (15 * TimeSpan.TicksPerMinute);
        if (quarter != _quarter)
        {
            _quarter = quarter;
            _offset = zone.GetUtcOffset(new DateTime(utcTicks, DateTimeKind.Utc)).Ticks;
        }
        return utcTicks + _offset;
    }

    /// <summary>The UTC instant that the clock showed the same at, some days before.</summary>
    public long DaysBefore(long utcTicks, int days)
    {
        var before = utcTicks - days * TimeSpan.TicksPerDay;
        return before + (Local(utcTicks) - utcTicks) - (Local(before) - before);
    }

    /// <summary>The share of the local day that has passed, 0 to 1.</summary>
    public double DayShare(long utcTicks) => (double)(Local(utcTicks) % TimeSpan.TicksPerDay) / TimeSpan.TicksPerDay;

    /// <summary>The share of the local week that has passed, from Monday, 0 to 1.</summary>
    public double WeekShare(long utcTicks) => (double)(Local(utcTicks) % (7 * TimeSpan.TicksPerDay)) / (7 * TimeSpan.TicksPerDay);
}
