namespace MArk.Serving.Scheduling;

/// <summary>
/// The requests of one group that an instance could take now, in the order they would be taken: as many as fit one batch. Where one lane
/// has them all, which is the rule, they are seen in place; otherwise they are put in order here. Valid until a queue changes.
/// </summary>
internal sealed class CandidateList(RequestTable requests, long maxWeight)
{
    private readonly bool _isWeighed = maxWeight < SchedulerSettings.NoWeightLimit;
    private RequestGroup _group = null!;
    private Lane? _only;
    private TimeSpan[] _deadlines = [];
    private int[] _slots = [];

    /// <summary>How many there are in one batch.</summary>
    public int Count { get; private set; }

    /// <summary>How many wait altogether; at least as many.</summary>
    public int Waiting { get; private set; }

    /// <summary>The earliest deadline of all that wait.</summary>
    public TimeSpan Earliest { get; private set; }

    /// <summary>The weight of one batch; counted only where it is limited.</summary>
    public long Weight { get; private set; }

    public ReadOnlySpan<TimeSpan> Deadlines => _only is { } lane ? lane.Queue.Deadlines.Slice(lane.Skipped, Count) : _deadlines.AsSpan(0, Count);

    public ReadOnlySpan<int> Slots => _only is { } lane ? lane.Queue.Slots.Slice(lane.Skipped, Count) : _slots.AsSpan(0, Count);

    /// <summary>Gathers them: those with a deadline the instance can meet at all.</summary>
    public void Gather(RequestGroup group, TimeSpan soonest, int maxCount)
    {
        _group = group;
        _only = null;
        (Waiting, Earliest, Weight) = (0, TimeSpan.MaxValue, 0);
        Lane? first = null;
        foreach (var lane in group.Lanes)
        {
            lane.Chosen = 0;
            lane.Skipped = lane.Queue.CountBefore(soonest);
            var waiting = lane.Queue.Count - lane.Skipped;
            if (waiting > 0)
            {
                first ??= lane;
                Waiting += waiting;
                var deadline = lane.Queue.Deadlines[lane.Skipped];
                Earliest = deadline < Earliest ? deadline : Earliest;
            }
        }
        Count = Math.Min(Waiting, maxCount);
        if (first is null)
        {
            return;
        }
        if (first.Queue.Count - first.Skipped >= Count)
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
        if (_only is { } lane)
        {
            lane.Queue.RemoveRange(lane.Skipped, count);
            return;
        }
        foreach (var part in _group.Lanes)
        {
            var taken = Math.Min(count, part.Chosen);
            part.Queue.RemoveRange(part.Skipped, taken);
            count -= taken;
        }
    }

    private void PutInOrder()
    {
        if (_slots.Length < Count)
        {
            _slots = new int[Math.Max(Count, 2 * _slots.Length)];
            _deadlines = new TimeSpan[_slots.Length];
        }
        var used = 0;
        foreach (var lane in _group.Lanes)
        {
            lane.Chosen = Math.Min(lane.Queue.Count - lane.Skipped, Count - used);
            lane.Queue.Deadlines.Slice(lane.Skipped, lane.Chosen).CopyTo(_deadlines.AsSpan(used));
            lane.Queue.Slots.Slice(lane.Skipped, lane.Chosen).CopyTo(_slots.AsSpan(used));
            used += lane.Chosen;
        }
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
