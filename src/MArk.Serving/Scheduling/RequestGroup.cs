namespace MArk.Serving.Scheduling;

/// <summary>Requests that may share a batch, in lanes: those in time, and those that are late.</summary>
internal sealed class RequestGroup(RequestTable requests, Tenant nameless)
{
    public const int Classes = 3;

    private readonly LaneList _inTime = new(requests, nameless, ofLate: false);
    private readonly LaneList _late = new(requests, nameless, ofLate: true);

    public int Id { get; set; }

    /// <summary>Its place in the list of groups.</summary>
    public int Index { get; set; }

    /// <summary>How many are in time.</summary>
    public int InTimeCount { get; set; }

    /// <summary>The lanes of those in time, by class. Lanes of tenants stay, though they be empty, until <see cref="DropEmptyLanes"/>.</summary>
    public ReadOnlySpan<Lane> Lanes => _inTime.All;

    /// <summary>The lanes of those that are late, by class.</summary>
    public ReadOnlySpan<Lane> Late => _late.All;

    /// <summary>The lanes among which are those of some turns.</summary>
    public ReadOnlySpan<Lane> LanesOf(int turn) => turn < Classes ? Lanes : Late;

    public int LateCount
    {
        get
        {
            var count = 0;
            foreach (var lane in Late)
            {
                count += lane.Count;
            }
            return count;
        }
    }

    /// <summary>Until when a policy holds its requests; reset when a batch of it leaves.</summary>
    public TimeSpan HeldUntil { get; set; }

    public bool IsEmpty => _inTime.IsEmpty && _late.IsEmpty;

    /// <summary>The lane that a request waits in.</summary>
    public Lane LaneOf(in RequestTerms terms, TenantTable tenants) => _inTime.Of(terms, tenants);

    /// <summary>The lane of a request that is late.</summary>
    public Lane LateOf(in RequestTerms terms, TenantTable tenants) => _late.Of(terms, tenants);

    /// <summary>The lane for a request that is about to wait.</summary>
    public Lane OpenLane(in RequestTerms terms, TenantTable tenants) => _inTime.Open(terms, tenants);

    /// <summary>The lane for a request that is late from now on.</summary>
    public Lane OpenLate(in RequestTerms terms, TenantTable tenants) => _late.Open(terms, tenants);

    /// <summary>Puts the empty lanes of tenants by.</summary>
    public void DropEmptyLanes()
    {
        _inTime.DropEmpty();
        _late.DropEmpty();
    }

    /// <summary>A priority's class, from high to low; any of the three there are.</summary>
    public static int ClassOf(RequestPriority priority) => RequestPriority.High - priority;
}
