namespace MArk.Serving.Scheduling;

/// <summary>The recent arrival rate, from the counts of the running window and the one before it: O(1) and without allocation.</summary>
internal sealed class ArrivalRateWindow(TimeSpan length)
{
    private TimeSpan _start;
    private long _previous;
    private long _current;

    public void Add(TimeSpan now, int count = 1)
    {
        Advance(now);
        _current += count;
    }

    /// <summary>Requests per second over the last window's length.</summary>
    public double Rate(TimeSpan now)
    {
        Advance(now);
        var elapsed = (now - _start) / length;
        return (_previous * (1 - elapsed) + _current) / length.TotalSeconds;
    }

    private void Advance(TimeSpan now)
    {
        if (now.Ticks - _start.Ticks >= length.Ticks)
        {
            MoveOn(now);
        }
    }

    private void MoveOn(TimeSpan now)
    {
        var steps = (now - _start).Ticks / length.Ticks;
        _previous = steps == 1 ? _current : 0;
        _current = 0;
        _start += steps * length;
    }
}
