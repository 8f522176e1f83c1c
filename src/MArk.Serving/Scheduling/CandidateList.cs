namespace MArk.Serving.Scheduling;

/// <summary>
/// The requests of one group that an instance could take now, in the order they would be taken: as many as fit one batch. Where one lane
/// has them all, which is the rule, they are seen in place; otherwise they are put in order here: by class, then shared fairly between tenants, then by
/// deadline. Valid until a queue changes.
/// </summary>
internal sealed class CandidateList(RequestTable requests, long maxWeight)
{
    private readonly bool _isWeighed = maxWeight < SchedulerSettings.NoWeightLimit;
    private RequestGroup _group = null!;
    private Lane? _only;
    private TimeSpan[] _deadlines = [];
    private int[] _slots = [];
    private Lane[] _lanes = [];     // whence each is

    /// <summary>How many there are in one batch.</summary>
    public int Count { get; private set; }

    /// <summary>How many wait altogether; at least as many.</summary>
    public int Waiting { get; private set; }

    /// <summary>The earliest deadline of all that wait.</summary>
    public TimeSpan Earliest { get; private set; }

    /// <summary>The weight of one batch; counted only where it is limited.</summary>
    public long Weight { get; private set; }

    public ReadOnlySpan<TimeSpan> Deadlines => _only is { } lane ? lane.Deadlines.Slice(lane.Skipped, Count) : _deadlines.AsSpan(0, Count);

    public ReadOnlySpan<int> Slots => _only is { } lane ? lane.Slots.Slice(lane.Skipped, Count) : _slots.AsSpan(0, Count);

    /// <summary>Gathers them: those with a deadline the instance can meet at all.</summary>
    public void Gather(RequestGroup group, TimeSpan soonest, int maxCount)
    {
        _group = group;
        _only = null;
        (Waiting, Earliest, Weight) = (0, TimeSpan.MaxValue, 0);
        Lane? first = null;
        var isShared = false;
        foreach (var lane in group.Lanes)
        {
            lane.Chosen = 0;
            lane.Skipped = lane.CountBefore(soonest);
            var waiting = lane.Count - lane.Skipped;
            if (waiting > 0)
            {
                isShared |= first?.Class == lane.Class;
                first ??= lane;
                Waiting += waiting;
                var deadline = lane.Deadlines[lane.Skipped];
                Earliest = deadline < Earliest ? deadline : Earliest;
            }
        }
        Count = Math.Min(Waiting, maxCount);
        if (first is null)
        {
            return;
        }
        if (!isShared && first.Count - first.Skipped >= Count)
        {
            _only = first;
        }
        else
        {
            PutInOrder();
        }
        if (_isWeighed)
        {
            KeepLight();
        }
    }

    /// <summary>Takes the first of them out of their queues.</summary>
    public void Remove(int count)
    {
        if (_only is { } only)
        {
            only.RemoveRange(only.Skipped, count);
            return;
        }
        foreach (var lane in _group.Lanes)
        {
            lane.Chosen = 0;
        }
        for (var i = 0; i < count; i++)
        {
            _lanes[i].Chosen++;
        }
        foreach (var lane in _group.Lanes)
        {
            lane.RemoveRange(lane.Skipped, lane.Chosen);
        }
    }

    private void PutInOrder()
    {
        if (_slots.Length < Count)
        {
            _slots = new int[Math.Max(Count, 2 * _slots.Length)];
            _deadlines = new TimeSpan[_slots.Length];
            _lanes = new Lane[_slots.Length];
        }
        var used = 0;
        var lanes = _group.Lanes;
        for (var from = 0; from < lanes.Length && used < Count;)
        {
            var to = from;
            while (to < lanes.Length && lanes[to].Class == lanes[from].Class)
            {
                lanes[to].Served = lanes[to].Tenant.Served(lanes[to].Class);
                to++;
            }
            while (used < Count && Next(lanes[from..to]) is { } lane)
            {
                var index = lane.Skipped + lane.Chosen++;
                _slots[used] = lane.Slots[index];
                _deadlines[used] = lane.Deadlines[index];
                _lanes[used++] = lane;
                lane.Served += requests[lane.Slots[index]].Terms.Weight / lane.Tenant.Share;
            }
            from = to;
        }
    }

    /// <summary>The lane of a class whose tenant will have been served the least.</summary>
    private static Lane? Next(ReadOnlySpan<Lane> lanes)
    {
        Lane? next = null;
        foreach (var lane in lanes)
        {
            if (lane.Skipped + lane.Chosen < lane.Count
                && (next is null || lane.Served < next.Served || (lane.Served == next.Served && lane.Tenant.Since(lane.Class) < next.Tenant.Since(lane.Class))))
            {
                next = lane;
            }
        }
        return next;
    }

    /// <summary>Keeps the head that is not too heavy for a batch; one request at least, whatever it weighs.</summary>
    private void KeepLight()
    {
        var slots = Slots;
        Weight = requests[slots[0]].Terms.Weight;
        for (var i = 1; i < slots.Length; i++)
        {
            var weight = requests[slots[i]].Terms.Weight;
            if (Weight + weight > maxWeight)
            {
                Count = i;
                return;
            }
            Weight += weight;
        }
    }
}
