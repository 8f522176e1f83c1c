namespace MArk.Serving.Scheduling;

/// <summary>The requests of one group and priority class that wait in time.</summary>
internal sealed class Lane(RequestTable requests, int priorityClass)
{
    public int Class { get; } = priorityClass;

    public DeadlineQueue Queue { get; } = new(requests);

    /// <summary>While candidates are gathered: how many at the head are passed over, and how many after them are candidates.</summary>
    public int Skipped;

    public int Chosen;
}
