namespace MArk.Serving.Scheduling;

/// <summary>
/// The tenants there are. Within a class, and there among those in time and among the late, the one that was served the least weight for its share goes first, which is deficit round-robin with the deficit
/// kept as a running sum (start-time fair queueing, Goyal, Vin, Cheng, SIGCOMM 1996): it needs no quantum, and a light tenant's request meets one
/// request of each other tenant, not a round of them. One that begins to wait starts where the least served of those that wait stands, so
/// that time it did not wait in is not made up for.
/// </summary>
internal sealed class TenantTable
{
    /// <summary>In how many things turns are taken: each class, in time and late.</summary>
    public const int Turns = 2 * RequestGroup.Classes;

    private const int MaxParked = 1024;
    private const int MinSweep = 16;
    private const double WeightOfLast = 0.05;

    private readonly Dictionary<string, Tenant> _byName = new(StringComparer.Ordinal);
    private readonly Stack<int> _free = [];
    private readonly List<Tenant> _parked = [];     // without requests, but served ahead of the clock: so that leaving and coming back gains nothing
    private readonly double[] _furthest = new double[Turns];
    private readonly double[] _clocks = new double[Turns];      // while those are looked through
    private readonly int[] _waiting = new int[Turns];
    private readonly IReadOnlyDictionary<string, double> _shares;
    private Tenant[] _byId = new Tenant[16];
    private int _used;
    private int _sweepAt = MinSweep;
    private long _began;

    public TenantTable(IReadOnlyDictionary<string, double> shares)
    {
        _shares = shares;
        Nameless = Add(null);
    }

    /// <summary>The turns that the late of a class take; those in time take the class's own.</summary>
    public static int LateTurn(int priorityClass) => RequestGroup.Classes + priorityClass;

    public Tenant Nameless { get; }

    /// <summary>Whether there is anybody to share with.</summary>
    public bool AreSeveral => _byName.Count > 0;

    public int Count => _byName.Count;

    public Tenant this[int id] => _byId[id];

    /// <summary>The number of a tenant; to be held by the request it is for before the next is asked for.</summary>
    public int IdOf(string? name)
    {
        if (name is null)
        {
            return 0;
        }
        if (!_byName.TryGetValue(name, out var tenant))
        {
            tenant = Add(name);
            _byName.Add(name, tenant);
        }
        return tenant.Id;
    }

    public void Hold(int id, int weight)
    {
        var tenant = _byId[id];
        tenant.Requests++;
        Weigh(tenant, weight);
    }

    /// <summary>What a tenant's requests weigh, by the latest.</summary>
    public static void Weigh(Tenant tenant, int weight) => tenant.MeanWeight += WeightOfLast * (weight - tenant.MeanWeight);

    public void Release(int id)
    {
        var tenant = _byId[id];
        if (--tenant.Requests == 0 && !tenant.IsParked)
        {
            tenant.IsParked = true;
            _parked.Add(tenant);
            if (_parked.Count > _sweepAt)
            {
                Sweep();
            }
        }
    }

    public void OnCharged(Tenant tenant, int turn) => _furthest[turn] = Math.Max(_furthest[turn], tenant.Served(turn));

    /// <summary>A tenant begins to wait.</summary>
    /// <returns>Where the clock of these turns stands.</returns>
    public double OnWaiting(int turn, out long since)
    {
        since = _began++;
        var clock = Clock(turn);
        _waiting[turn]++;
        return clock;
    }

    public void OnIdle(int turn) => _waiting[turn]--;

    /// <summary>Where a request of a tenant would start on the clock of some turns if it were the tenant's only one.</summary>
    public double StartOf(Tenant tenant, int turn) =>
        tenant.IsWaiting(turn) ? tenant.Served(turn) : Math.Max(tenant.Served(turn), Clock(turn));

    /// <summary>What the least served of those that wait was served; where nobody waits nobody is ahead of anybody.</summary>
    private double Clock(int turn)
    {
        if (_waiting[turn] == 0)
        {
            return _furthest[turn];
        }
        var least = double.PositiveInfinity;
        for (var id = 0; id < _used; id++)
        {
            var tenant = _byId[id];
            if (tenant.IsWaiting(turn) && tenant.Served(turn) < least)
            {
                least = tenant.Served(turn);
            }
        }
        return least;
    }

    private Tenant Add(string? name)
    {
        var id = _free.TryPop(out var spare) ? spare : _used++;
        if (id == _byId.Length)
        {
            Array.Resize(ref _byId, 2 * id);
        }
        return _byId[id] = new Tenant(this) { Id = id, Name = name, Share = name is not null && _shares.TryGetValue(name, out var share) ? share : 1 };
    }

    /// <summary>Lets those go that are not ahead of the clock any more; all of them, if there are too many.</summary>
    private void Sweep()
    {
        var forgive = _parked.Count > MaxParked;
        for (var c = 0; c < Turns; c++)
        {
            _clocks[c] = Clock(c);
        }
        for (var i = _parked.Count - 1; i >= 0; i--)
        {
            var tenant = _parked[i];
            if (tenant.Requests == 0 && !forgive && IsAhead(tenant))
            {
                continue;
            }
            _parked[i] = _parked[^1];
            _parked.RemoveAt(_parked.Count - 1);
            tenant.IsParked = false;
            if (tenant.Requests == 0)
            {
                _byName.Remove(tenant.Name!);
                _free.Push(tenant.Id);
            }
        }
        _sweepAt = Math.Max(MinSweep, 2 * _parked.Count);
    }

    private bool IsAhead(Tenant tenant)
    {
        for (var c = 0; c < Turns; c++)
        {
            if (tenant.Served(c) > _clocks[c])
            {
                return true;
            }
        }
        return false;
    }
}
