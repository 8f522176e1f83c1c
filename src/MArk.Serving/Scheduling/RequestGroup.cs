namespace MArk.Serving.Scheduling;

/// <summary>Requests that may share a batch: one queue a priority class for those in time, and one for those that are late.</summary>
internal sealed class RequestGroup(int id, RequestTable requests)
{
    public const int Classes = 3;

    // From high to low: the order in which they are taken.
    private readonly DeadlineQueue[] _inTime = [new(requests), new(requests), new(requests)];

    public int Id { get; } = id;

    public DeadlineQueue Late { get; } = new(requests);

    public int InTimeCount => _inTime[0].Count + _inTime[1].Count + _inTime[2].Count;

    public bool IsEmpty => InTimeCount == 0 && Late.Count == 0;

    public DeadlineQueue Class(int index) => _inTime[index];

    public static int ClassOf(RequestPriority priority) => priority switch
    {
        RequestPriority.High => 0,
        RequestPriority.Low => 2,
        _ => 1,
    };
}
