namespace MArk.Serving.Scheduling;

/// <summary>One of those that a model's capacity is shared between. Number 0 is everybody who gives no name.</summary>
internal sealed class Tenant(TenantTable table)
{
    private readonly double[] _served = new double[RequestGroup.Classes];
    private readonly long[] _since = new long[RequestGroup.Classes];
    private readonly int[] _lanes = new int[RequestGroup.Classes];

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

    /// <summary>The weight it was served of a class over its share, on the class's own clock: who has the least goes first.</summary>
    public double Served(int priorityClass) => _served[priorityClass];

    public bool IsWaiting(int priorityClass) => _lanes[priorityClass] > 0;

    public void Charge(int priorityClass, int weight)
    {
        _served[priorityClass] += weight / Share;
        table.OnCharged(this, priorityClass);
    }

    /// <summary>Whether it goes before another of the same class: it was served less, or as much and waits for longer.</summary>
    public bool IsBefore(Tenant other, int priorityClass) =>
        _served[priorityClass] < other._served[priorityClass]
        || (_served[priorityClass] == other._served[priorityClass] && _since[priorityClass] < other._since[priorityClass]);

    /// <summary>The order among those that were served as much.</summary>
    public long Since(int priorityClass) => _since[priorityClass];

    /// <summary>A lane of its got its first request.</summary>
    public void OnLaneFilled(int priorityClass)
    {
        if (_lanes[priorityClass] == 0)
        {
            _served[priorityClass] = Math.Max(_served[priorityClass], table.OnWaiting(priorityClass, out _since[priorityClass]));
        }
        _lanes[priorityClass]++;
    }

    /// <summary>A lane of its lost its last request.</summary>
    public void OnLaneEmptied(int priorityClass)
    {
        if (--_lanes[priorityClass] == 0)
        {
            table.OnIdle(priorityClass);
        }
    }
}
