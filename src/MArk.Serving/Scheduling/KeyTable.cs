namespace MArk.Serving.Scheduling;

/// <summary>Dense numbers for the keys and shapes of the requests there are. A number is free again when no request holds it, so that distinct keys do not add up.</summary>
internal sealed class KeyTable
{
    private readonly Dictionary<(long Shape, string? Key), int> _ids = [];
    private readonly Stack<int> _free = [];
    private ((long Shape, string? Key) Name, int Requests)[] _entries = new ((long, string?), int)[16];
    private int _used = 1;      // 0 is the request without key and shape, and is never given back

    public int Count => _ids.Count;

    /// <summary>The number of a key; to be held by the request it is for before the next is asked for.</summary>
    public int IdOf(long shape, string? key)
    {
        if (shape == 0 && key is null)
        {
            return 0;
        }
        if (_ids.TryGetValue((shape, key), out var id))
        {
            return id;
        }
        if (!_free.TryPop(out id))
        {
            if (_used == _entries.Length)
            {
                Array.Resize(ref _entries, 2 * _used);
            }
            id = _used++;
        }
        _entries[id].Name = (shape, key);
        _ids.Add((shape, key), id);
        return id;
    }

    public void Hold(int id) => _entries[id].Requests++;

    public void Release(int id)
    {
        if (--_entries[id].Requests == 0)
        {
            _ids.Remove(_entries[id].Name);
            _entries[id].Name = default;
            _free.Push(id);
        }
    }
}
