namespace MArk.Serving.Scheduling;

/// <summary>Requests that may share a batch: a lane for each priority class of those in time, and one queue for those that are late.</summary>
internal sealed class RequestGroup(RequestTable requests)
{
    public const int Classes = 3;

    // From high to low: the order in which they are taken.
    private readonly Lane[] _lanes = [new(requests, 0), new(requests, 1), new(requests, 2)];

    public int Id { get; set; }

    /// <summary>Its place in the list of groups.</summary>
    public int Index { get; set; }

    public DeadlineQueue Late { get; } = new(requests);

    /// <summary>Until when a policy holds its requests; reset when a batch of it leaves.</summary>
    public TimeSpan HeldUntil { get; set; }

    /// <summary>The lanes, by class.</summary>
    public ReadOnlySpan<Lane> Lanes => _lanes;

    public bool IsEmpty => _lanes[0].Queue.Count + _lanes[1].Queue.Count + _lanes[2].Queue.Count == 0 && Late.Count == 0;

    public Lane LaneOf(in RequestTerms terms) => _lanes[ClassOf(terms.Priority)];

    public static int ClassOf(RequestPriority priority) => priority switch
    {
        RequestPriority.High => 0,
        RequestPriority.Low => 2,
        _ => 1,
    };
}
