namespace MArk.Serving.Scheduling;

/// <summary>
/// Requests that may share a batch: for each priority class a lane of those in time that name no tenant, and one for each tenant that waits; and one queue for
/// those of the class that are late.
/// </summary>
internal sealed class RequestGroup
{
    public const int Classes = 3;

    private readonly RequestTable _requests;
    private readonly Lane[] _nameless = new Lane[Classes];
    private readonly DeadlineQueue[] _late = new DeadlineQueue[Classes];
    private Lane[] _lanes;          // by class, from high to low: the order in which they are taken
    private int _count = Classes;
    private Stack<Lane>? _spare;

    public RequestGroup(RequestTable requests, Tenant nameless)
    {
        _requests = requests;
        for (var c = 0; c < Classes; c++)
        {
            _nameless[c] = new Lane(requests) { Class = c, Tenant = nameless };
            _late[c] = new DeadlineQueue(requests);
        }
        _lanes = [.. _nameless];
    }

    public int Id { get; set; }

    /// <summary>Its place in the list of groups.</summary>
    public int Index { get; set; }

    /// <summary>Those that are late, by class.</summary>
    public ReadOnlySpan<DeadlineQueue> Late => _late;

    public int LateCount => _late[0].Count + _late[1].Count + _late[2].Count;

    /// <summary>Until when a policy holds its requests; reset when a batch of it leaves.</summary>
    public TimeSpan HeldUntil { get; set; }

    /// <summary>The lanes, by class. Lanes of tenants stay, though they be empty, until <see cref="DropEmptyLanes"/>.</summary>
    public ReadOnlySpan<Lane> Lanes => _lanes.AsSpan(0, _count);

    public bool IsEmpty => _count == Classes && _nameless[0].Count + _nameless[1].Count + _nameless[2].Count == 0 && LateCount == 0;

    /// <summary>The lane that a request waits in.</summary>
    public Lane LaneOf(in RequestTerms terms, TenantTable tenants) =>
        terms.Tenant == 0 ? _nameless[ClassOf(terms.Priority)] : Find(ClassOf(terms.Priority), tenants[terms.Tenant])!;

    /// <summary>The queue of a request that is late.</summary>
    public DeadlineQueue LateOf(in RequestTerms terms) => _late[ClassOf(terms.Priority)];

    /// <summary>The lane for a request that is about to wait.</summary>
    public Lane OpenLane(in RequestTerms terms, TenantTable tenants)
    {
        var priorityClass = ClassOf(terms.Priority);
        if (terms.Tenant == 0)
        {
            return _nameless[priorityClass];
        }
        var tenant = tenants[terms.Tenant];
        return Find(priorityClass, tenant) ?? Insert(priorityClass, tenant);
    }

    /// <summary>Puts the empty lanes of tenants by.</summary>
    public void DropEmptyLanes()
    {
        for (var i = _count - 1; i >= 0 && _count > Classes; i--)
        {
            var lane = _lanes[i];
            if (lane.Count == 0 && lane != _nameless[lane.Class])
            {
                Array.Copy(_lanes, i + 1, _lanes, i, --_count - i);
                (_spare ??= new()).Push(lane);
            }
        }
    }

    /// <summary>A priority's class, from high to low; any of the three there are.</summary>
    public static int ClassOf(RequestPriority priority) => RequestPriority.High - priority;

    private Lane? Find(int priorityClass, Tenant tenant)
    {
        foreach (var lane in Lanes)
        {
            if (lane.Class == priorityClass && lane.Tenant == tenant)
            {
                return lane;
            }
        }
        return null;
    }

    private Lane Insert(int priorityClass, Tenant tenant)
    {
        var lane = _spare is { Count: > 0 } ? _spare.Pop() : new Lane(_requests);
        (lane.Class, lane.Tenant) = (priorityClass, tenant);
        if (_count == _lanes.Length)
        {
            Array.Resize(ref _lanes, 2 * _count);
        }
        var place = _count;
        while (place > 0 && _lanes[place - 1].Class > priorityClass)
        {
            _lanes[place] = _lanes[--place];
        }
        _count++;
        return _lanes[place] = lane;
    }
}
