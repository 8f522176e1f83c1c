namespace MArk.Serving.Simulation;

/// <summary>What is to happen, ordered by (due, sequence): two things due at once happen in the order they were scheduled, so a run is reproducible.</summary>
internal sealed class EventQueue<TEvent>
{
    private readonly PriorityQueue<TEvent, Turn> _events = new();
    private long _sequence;

    /// <summary>When the next one is due; never where there is none.</summary>
    public TimeSpan NextDue => _events.TryPeek(out _, out var turn) ? turn.Due : TimeSpan.MaxValue;

    public void Schedule(TimeSpan due, TEvent what) => _events.Enqueue(what, new Turn(due, _sequence++));

    public TEvent Take() => _events.Dequeue();

    private readonly record struct Turn(TimeSpan Due, long Sequence) : IComparable<Turn>
    {
        public int CompareTo(Turn other) => Due != other.Due ? Due.CompareTo(other.Due) : Sequence.CompareTo(other.Sequence);
    }
}
