namespace MArk.Serving.Prediction;

/// <summary>
/// Counts arrivals in slots aligned to the Unix epoch, so that the counts of several hosts add exactly. The slot in which counting began
/// was not counted whole and is left out; a later slot without arrivals is a true zero.
/// </summary>
/// <remarks>
/// How bursty they are is told by how many pairs of arrivals fall into the same of n windows: N (N - 1) / n of N are expected where they come at random, 1 + c² times as many where the rate has a
/// squared coefficient of variation of c².
/// </remarks>
internal sealed class ArrivalCounter
{
    private readonly TimeSpan _slot;
    private readonly long _windows;     // of a slot
    private readonly Queue<ArrivalSample> _finished = new();
    private DateTimeOffset _start;
    private bool _isWhole;
    private long _count;
    private long _window;               // the one that is counted
    private long _windowCount;
    private double _pairs;              // ordered pairs of arrivals in one window, of the windows before

    /// <param name="slot">How long a slot is.</param>
    /// <param name="now">Now.</param>
    /// <param name="window">About how long the windows are on which it is told how bursty arrivals are; not told without.</param>
    public ArrivalCounter(TimeSpan slot, DateTimeOffset now, TimeSpan? window = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(slot, TimeSpan.Zero);
        _slot = slot;
        _windows = window is { } length ? Math.Max(1, slot.Ticks / Math.Max(1, length.Ticks)) : 1;
        _start = SlotOf(now);
        _isWhole = _start == now;
    }

    public void Add(DateTimeOffset now, long count)
    {
        Advance(now);
        _count += count;
        if (_windows > 1)
        {
            var window = (now - _start).Ticks * _windows / _slot.Ticks;
            if (window > _window)
            {
                EndWindow();
                _window = window;
            }
            _windowCount += count;
        }
    }

    /// <summary>The oldest finished slot that was not taken yet.</summary>
    public bool TryTakeFinished(DateTimeOffset now, out ArrivalSample sample)
    {
        Advance(now);
        return _finished.TryDequeue(out sample);
    }

    private void Advance(DateTimeOffset now)
    {
        while (now >= _start + _slot)
        {
            if (_isWhole)
            {
                EndWindow();
                _finished.Enqueue(new ArrivalSample(_start, _slot, _count) { Burstiness = _windows > 1 && _count > 1 ? _pairs * _windows / ((double)_count * (_count - 1)) - 1 : 0 });
            }
            _isWhole = true;
            (_count, _window, _windowCount, _pairs) = (0, 0, 0, 0);
            _start += _slot;
        }
    }

    private void EndWindow()
    {
        _pairs += (double)_windowCount * (_windowCount - 1);
        _windowCount = 0;
    }

    private DateTimeOffset SlotOf(DateTimeOffset instant)
    {
        var sinceEpoch = instant - DateTimeOffset.UnixEpoch;
        return DateTimeOffset.UnixEpoch + new TimeSpan(sinceEpoch.Ticks / _slot.Ticks * _slot.Ticks);
    }
}
