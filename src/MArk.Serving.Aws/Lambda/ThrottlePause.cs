namespace MArk.Serving.Aws.Lambda;

/// <summary>How long a function that throttles is left alone: as long as it says, or twice as long each time, up to a limit, with jitter. Not thread-safe.</summary>
internal sealed class ThrottlePause(Random random, TimeProvider time)
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(20);
    private const int MostDoublings = 16;

    private long _since;
    private TimeSpan _pause;
    private int _times;

    public TimeSpan Remaining
    {
        get
        {
            var passed = _pause == TimeSpan.Zero ? TimeSpan.Zero : time.GetElapsedTime(_since);
            return passed < _pause ? _pause - passed : TimeSpan.Zero;
        }
    }

    /// <summary>A call was throttled. Those that were made before the pause began are one event with what began it.</summary>
    /// <returns>The pause that begins, if one does.</returns>
    public TimeSpan? OnThrottled(long callStarted, TimeSpan? retryAfter)
    {
        if (_times > 0 && callStarted <= _since)
        {
            return null;
        }
        // Between a half and the whole, so that several hosts do not come back together.
        var ceiling = TimeSpan.FromTicks(Math.Min(Longest.Ticks, First.Ticks << Math.Min(_times, MostDoublings)));
        _pause = retryAfter ?? ceiling / 2 * (1 + random.NextDouble());
        _since = time.GetTimestamp();
        _times++;
        return _pause;
    }

    /// <summary>A call was answered: if it was made after the last pause began, it is over.</summary>
    public void OnAnswered(long callStarted)
    {
        if (_times > 0 && callStarted > _since)
        {
            (_times, _pause) = (0, TimeSpan.Zero);
        }
    }
}
