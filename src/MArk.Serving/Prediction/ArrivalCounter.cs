namespace MArk.Serving.Prediction;

/// <summary>
/// Counts arrivals in slots aligned to the Unix epoch, so that the counts of several hosts add exactly. The slot in which counting began
/// was not counted whole and is left out; a later slot without arrivals is a true zero.
/// </summary>
internal sealed class ArrivalCounter
{
    private readonly TimeSpan _slot;
    private readonly Queue<ArrivalSample> _finished = new();
    private DateTimeOffset _start;
    private bool _isWhole;
    private long _count;

    public ArrivalCounter(TimeSpan slot, DateTimeOffset now)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(slot, TimeSpan.Zero);
        _slot = slot;
        _start = SlotOf(now);
        _isWhole = _start == now;
    }

    public void Add(DateTimeOffset now, long count)
    {
        Advance(now);
        _count += count;
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
                _finished.Enqueue(new ArrivalSample(_start, _slot, _count));
            }
            _isWhole = true;
            _count = 0;
            _start += _slot;
        }
    }

    private DateTimeOffset SlotOf(DateTimeOffset instant)
    {
        var sinceEpoch = instant - DateTimeOffset.UnixEpoch;
        return DateTimeOffset.UnixEpoch + new TimeSpan(sinceEpoch.Ticks / _slot.Ticks * _slot.Ticks);
    }
}
