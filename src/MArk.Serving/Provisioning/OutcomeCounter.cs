namespace MArk.Serving.Provisioning;

/// <summary>What became of the requests that arrived in a slot.</summary>
/// <param name="Start">When the slot begins, UTC.</param>
/// <param name="Length">How long it is.</param>
/// <param name="Offered">Requests that arrived in it and were neither taken back in time nor failed for a reason of their own.</param>
/// <param name="InTime">Those of them that were answered well by their deadline.</param>
internal readonly record struct OutcomeSample(DateTimeOffset Start, TimeSpan Length, long Offered, long InTime);

/// <summary>
/// Counts outcomes by the slot a request arrived in, and tells of a slot once all of it must have been answered: one that still waits then has
/// missed, which no count of answers would show. Requests whose deadline is later than the objective are not watched.
/// </summary>
internal sealed class OutcomeCounter
{
    private const int MostSlotsAnObjective = 8;
    private const int SlotsToSpare = 64;        // for one who takes them late

    private readonly long _slot;            // ticks
    private readonly TimeSpan _objective;
    private readonly DateTimeOffset _origin;
    private readonly (long Offered, long InTime)[] _ring;
    private readonly long _first;
    private long _next;                     // the oldest slot that was not taken

    /// <param name="slot">How long a slot should be; longer where the objective is much longer.</param>
    /// <param name="objective">The latency objective.</param>
    /// <param name="origin">The instant of time zero, UTC.</param>
    /// <param name="now">Now, as the counted times. The slot in which counting begins is left out.</param>
    public OutcomeCounter(TimeSpan slot, TimeSpan objective, DateTimeOffset origin, TimeSpan now)
    {
        _slot = Math.Max(slot.Ticks, objective.Ticks / MostSlotsAnObjective);
        _objective = objective;
        _origin = origin;
        _ring = new (long, long)[2 * objective.Ticks / _slot + SlotsToSpare];
        _first = _next = now.Ticks / _slot + 1;
    }

    public void Offer(TimeSpan arrival, TimeSpan deadline)
    {
        if (TryFind(arrival, deadline, out var i))
        {
            _ring[i].Offered++;
        }
    }

    /// <summary>It was answered well by its deadline.</summary>
    public void Keep(TimeSpan arrival, TimeSpan deadline)
    {
        if (TryFind(arrival, deadline, out var i))
        {
            _ring[i].InTime++;
        }
    }

    /// <summary>It does not count: its caller stopped waiting, or it failed for a reason that no instance more would mend.</summary>
    public void TakeBack(TimeSpan arrival, TimeSpan deadline)
    {
        if (TryFind(arrival, deadline, out var i))
        {
            _ring[i].Offered--;
        }
    }

    /// <summary>The oldest slot that is decided and was not taken yet. Answers are counted with their batch, so that one more objective is waited for.</summary>
    public bool TryTakeFinished(TimeSpan now, out OutcomeSample sample)
    {
        sample = default;
        if (now.Ticks < (_next + 1) * _slot + 2 * _objective.Ticks)
        {
            return false;
        }
        ref var counts = ref _ring[_next % _ring.Length];
        sample = new OutcomeSample(_origin + new TimeSpan(_next * _slot), new TimeSpan(_slot), counts.Offered, counts.InTime);
        counts = default;
        _next++;
        return true;
    }

    private bool TryFind(TimeSpan arrival, TimeSpan deadline, out long index)
    {
        var slot = arrival.Ticks / _slot;
        index = slot % _ring.Length;
        // What is far ahead of the slots taken would fall into an older one's place: nobody takes them, and it is not counted.
        return deadline - arrival <= _objective && slot >= _next && slot >= _first && slot < _next + _ring.Length;
    }
}
