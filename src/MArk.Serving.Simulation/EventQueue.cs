namespace MArk.Serving.Simulation;

/// <summary>What is to happen, ordered by (due, sequence): two things due at once happen in the order they were scheduled, so a run is reproducible.</summary>
internal sealed class EventQueue<TEvent>
{
    private readonly PriorityQueue<TEvent, (TimeSpan Due, long Sequence)> _events = new();
    private long _sequence;

    public void Schedule(TimeSpan due, TEvent what) => _events.Enqueue(what, (due, _sequence++));

    public bool TryTake(out TimeSpan due, out TEvent what)
    {
        var any = _events.TryDequeue(out what!, out var key);
        due = key.Due;
        return any;
    }

    public bool TryPeek(out TimeSpan due)
    {
        var any = _events.TryPeek(out _, out var key);
        due = key.Due;
        return any;
    }
}
