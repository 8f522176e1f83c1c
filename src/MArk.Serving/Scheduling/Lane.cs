namespace MArk.Serving.Scheduling;

/// <summary>The requests of one group, priority class and tenant that wait: those in time, or those that are late.</summary>
internal sealed class Lane(RequestTable requests)
{
    private readonly DeadlineQueue _queue = new(requests);
    private bool _holdsTurn;

    public int Class { get; private set; }

    /// <summary>Which turns it takes: its class's, among those in time or among the late.</summary>
    public int Turn { get; private set; }

    public Tenant Tenant { get; private set; } = null!;

    public int Count => _queue.Count;

    public ReadOnlySpan<TimeSpan> Deadlines => _queue.Deadlines;

    public ReadOnlySpan<int> Slots => _queue.Slots;

    /// <summary>While candidates are gathered: how many at the head are passed over, how many after them are candidates, and what their tenant will have been served by then.</summary>
    public int Skipped;

    public int Chosen;

    public double Served;

    /// <summary>What leaves and comes back until <see cref="LetGoOfTurn"/>, as what is judged anew does, does not cost its tenant the turn that it waits for.</summary>
    public void HoldTurn()
    {
        _holdsTurn = Count > 0;
        if (_holdsTurn)
        {
            Tenant.OnLaneFilled(Turn);
        }
    }

    public void LetGoOfTurn()
    {
        if (_holdsTurn)
        {
            _holdsTurn = false;
            Tenant.OnLaneEmptied(Turn);
        }
    }

    public int CountBefore(TimeSpan instant) => _queue.CountBefore(instant);

    /// <summary>Whose it is, from now on.</summary>
    public void Assign(int priorityClass, bool ofLate, Tenant tenant) =>
        (Class, Turn, Tenant) = (priorityClass, ofLate ? TenantTable.LateTurn(priorityClass) : priorityClass, tenant);

    public void Add(int slot, in RequestState request)
    {
        _queue.Add(slot, request);
        if (_queue.Count == 1)
        {
            Tenant.OnLaneFilled(Turn);
        }
    }

    public void Remove(int slot)
    {
        _queue.Remove(slot);
        OnRemoved();
    }

    public void RemoveRange(int index, int count)
    {
        if (count > 0)
        {
            _queue.RemoveRange(index, count);
            OnRemoved();
        }
    }

    private void OnRemoved()
    {
        if (_queue.Count == 0)
        {
            Tenant.OnLaneEmptied(Turn);
        }
    }
}
