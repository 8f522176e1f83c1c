namespace MArk.Serving.Scheduling;

/// <summary>The groups that hold waiting requests. One that is empty is put by for the next key that comes, so that keys that come and go cost no memory.</summary>
internal sealed class GroupList(RequestTable requests, TenantTable tenants)
{
    private readonly List<RequestGroup> _listed = [];
    private readonly Stack<RequestGroup> _spare = [];
    private RequestGroup?[] _byId = new RequestGroup?[16];

    public int Count => _listed.Count;

    public RequestGroup this[int index] => _listed[index];

    public List<RequestGroup>.Enumerator GetEnumerator() => _listed.GetEnumerator();

    /// <summary>The group of a number; nothing if it has no requests.</summary>
    public RequestGroup? Find(int id) => id < _byId.Length ? _byId[id] : null;

    /// <summary>The group of a number that has requests.</summary>
    public RequestGroup Of(int id) => _byId[id]!;

    /// <summary>The group of a number, which is about to get a request.</summary>
    public RequestGroup Open(int id) => id < _byId.Length && _byId[id] is { } group ? group : Enlist(id);

    private RequestGroup Enlist(int id)
    {
        if (id >= _byId.Length)
        {
            Array.Resize(ref _byId, Math.Max(id + 1, 2 * _byId.Length));
        }
        var group = _spare.TryPop(out var spare) ? spare : new RequestGroup(requests, tenants.Nameless);
        group.Id = id;
        group.HeldUntil = TimeSpan.MaxValue;
        group.Index = _listed.Count;
        _listed.Add(group);
        return _byId[id] = group;
    }

    /// <summary>Drops the lanes of a group that have become empty, and the group if it has. Changes the order of the others.</summary>
    public void DropIfEmpty(RequestGroup group)
    {
        group.DropEmptyLanes();
        // Group 0, which all requests without key and shape share, stays listed: it comes and goes with every request.
        if (group.Id == 0 || !group.IsEmpty)
        {
            return;
        }
        var last = _listed[^1];
        _listed[group.Index] = last;
        last.Index = group.Index;
        _listed.RemoveAt(_listed.Count - 1);
        _byId[group.Id] = null;
        _spare.Push(group);
    }
}
