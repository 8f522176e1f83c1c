namespace MArk.Serving.Scheduling;

/// <summary>One of those that a model's capacity is shared between. Number 0 is everybody who gives no name.</summary>
internal sealed class Tenant(TenantTable table)
{
    private readonly double[] _served = new double[TenantTable.Turns];
    private readonly long[] _since = new long[TenantTable.Turns];
    private readonly int[] _lanes = new int[TenantTable.Turns];

    public int Id { get; init; }

    public string? Name { get; init; }

    public double Share { get; init; } = 1;

    /// <summary>Requests of its that have not ended.</summary>
    public int Requests { get; set; }

    /// <summary>Whether it stands among those without requests that may be let go.</summary>
    public bool IsParked { get; set; }

    /// <summary>The mean weight of its recent requests.</summary>
    public double MeanWeight { get; set; } = 1;

    /// <summary>Scratch, for counting over lanes.</summary>
    public int Counted { get; set; }

    /// <summary>The weight it was served of a class over its share, in time or late, on the clock of these turns: who has the least goes first.</summary>
    public double Served(int turn) => _served[turn];

    public bool IsWaiting(int turn) => _lanes[turn] > 0;

    public void Charge(int turn, int weight)
    {
        _served[turn] += weight / Share;
        table.OnCharged(this, turn);
    }

    /// <summary>Whether it goes before another in the same turns: it was served less, or as much and waits for longer.</summary>
    public bool IsBefore(Tenant other, int turn) =>
        _served[turn] < other._served[turn]
        || (_served[turn] == other._served[turn] && _since[turn] < other._since[turn]);

    /// <summary>The order among those that were served as much.</summary>
    public long Since(int turn) => _since[turn];

    /// <summary>A lane of its got its first request.</summary>
    public void OnLaneFilled(int turn)
    {
        if (_lanes[turn] == 0)
        {
            _served[turn] = Math.Max(_served[turn], table.OnWaiting(turn, out _since[turn]));
        }
        _lanes[turn]++;
    }

    /// <summary>A lane of its lost its last request.</summary>
    public void OnLaneEmptied(int turn)
    {
        if (--_lanes[turn] == 0)
        {
            table.OnIdle(turn);
        }
    }
}
