namespace MArk.Serving.Scheduling;

/// <summary>The requests of one group, priority class and tenant that wait in time.</summary>
internal sealed class Lane(RequestTable requests)
{
    private readonly DeadlineQueue _queue = new(requests);

    public int Class { get; set; }

    public Tenant Tenant { get; set; } = null!;

    public int Count => _queue.Count;

    public ReadOnlySpan<TimeSpan> Deadlines => _queue.Deadlines;

    public ReadOnlySpan<int> Slots => _queue.Slots;

    /// <summary>While candidates are gathered: how many at the head are passed over, how many after them are candidates, and what their tenant will have been served by then.</summary>
    public int Skipped;

    public int Chosen;

    public double Served;

    public int CountBefore(TimeSpan instant) => _queue.CountBefore(instant);

    public void Add(int slot, in RequestState request)
    {
        _queue.Add(slot, request);
        if (_queue.Count == 1)
        {
            Tenant.OnLaneFilled(Class);
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
            Tenant.OnLaneEmptied(Class);
        }
    }
}
