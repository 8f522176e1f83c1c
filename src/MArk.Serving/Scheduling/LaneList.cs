namespace MArk.Serving.Scheduling;

/// <summary>One group's lanes, either those of the requests in time or those of the late: for each priority class one of those that name no tenant, and one for each tenant that waits.</summary>
internal sealed class LaneList
{
    private readonly RequestTable _requests;
    private readonly bool _ofLate;
    private readonly Lane[] _nameless = new Lane[RequestGroup.Classes];
    private Lane[] _lanes;          // by class, from high to low: the order in which they are taken
    private int _count = RequestGroup.Classes;
    private Stack<Lane>? _spare;

    public LaneList(RequestTable requests, Tenant nameless, bool ofLate)
    {
        (_requests, _ofLate) = (requests, ofLate);
        for (var c = 0; c < RequestGroup.Classes; c++)
        {
            _nameless[c] = new Lane(requests);
            _nameless[c].Assign(c, ofLate, nameless);
        }
        _lanes = [.. _nameless];
    }

    /// <summary>The lanes, by class. Those of tenants stay, though they be empty, until <see cref="DropEmpty"/>.</summary>
    public ReadOnlySpan<Lane> All => _lanes.AsSpan(0, _count);

    public bool IsEmpty => _count == RequestGroup.Classes && _nameless[0].Count + _nameless[1].Count + _nameless[2].Count == 0;

    /// <summary>The lane that a request waits in.</summary>
    public Lane Of(in RequestTerms terms, TenantTable tenants) =>
        terms.Tenant == 0 ? _nameless[RequestGroup.ClassOf(terms.Priority)] : Find(RequestGroup.ClassOf(terms.Priority), tenants[terms.Tenant])!;

    /// <summary>The lane for a request that is about to wait.</summary>
    public Lane Open(in RequestTerms terms, TenantTable tenants)
    {
        var priorityClass = RequestGroup.ClassOf(terms.Priority);
        if (terms.Tenant == 0)
        {
            return _nameless[priorityClass];
        }
        var tenant = tenants[terms.Tenant];
        return Find(priorityClass, tenant) ?? Insert(priorityClass, tenant);
    }

    /// <summary>Puts the empty lanes of tenants by.</summary>
    public void DropEmpty()
    {
        for (var i = _count - 1; i >= 0 && _count > RequestGroup.Classes; i--)
        {
            var lane = _lanes[i];
            if (lane.Count == 0 && lane != _nameless[lane.Class])
            {
                Array.Copy(_lanes, i + 1, _lanes, i, --_count - i);
                (_spare ??= new()).Push(lane);
            }
        }
    }

    private Lane? Find(int priorityClass, Tenant tenant)
    {
        foreach (var lane in All)
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
        lane.Assign(priorityClass, _ofLate, tenant);
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
