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

    private readonly long _slot;            // ticks
    private readonly TimeSpan _objective;
    private readonly DateTimeOffset _origin;
    private readonly (long Offered, long InTime)[] _ring;
    private readonly Queue<OutcomeSample> _finished = new();
    private long _next;                     // the oldest slot that is not finished

    /// <param name="slot">How long a slot should be; longer where the objective is much longer.</param>
    /// <param name="objective">The latency objective.</param>
    /// <param name="origin">The instant of time zero, UTC.</param>
    /// <param name="now">Now, as the counted times.</param>
    public OutcomeCounter(TimeSpan slot, TimeSpan objective, DateTimeOffset origin, TimeSpan now)
    {
        _slot = Math.Max(slot.Ticks, objective.Ticks / MostSlotsAnObjective);
        _objective = objective;
        _origin = origin;
        _ring = new (long, long)[2 * objective.Ticks / _slot + 4];
        _next = now.Ticks / _slot;
    }

    public void Offer(TimeSpan arrival, TimeSpan deadline)
    {
        if (arrival.Ticks / _slot >= _next + _ring.Length)
        {
            // Nobody has taken the finished ones for long.
            Advance(arrival);
        }
        if (TryFind(arrival, deadline, out var i))
        {
            _ring[i].Offered++;
        }
        else if (arrival.Ticks / _slot < _next && deadline - arrival <= _objective)
        {
            // It was heard of so late that it has missed already: a host that is too busy to take requests in must not look idle.
            _ring[_next % _ring.Length].Offered++;
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
        Advance(now);
        return _finished.TryDequeue(out sample);
    }

    private void Advance(TimeSpan now)
    {
        while (now.Ticks >= (_next + 1) * _slot + 2 * _objective.Ticks)
        {
            ref var counts = ref _ring[_next % _ring.Length];
            _finished.Enqueue(new OutcomeSample(_origin + new TimeSpan(_next * _slot), new TimeSpan(_slot), counts.Offered, counts.InTime));
            counts = default;
            _next++;
        }
    }

    private bool TryFind(TimeSpan arrival, TimeSpan deadline, out long index)
    {
        var slot = arrival.Ticks / _slot;
        index = slot % _ring.Length;
        return deadline - arrival <= _objective && slot >= _next && slot < _next + _ring.Length;
    }
}
