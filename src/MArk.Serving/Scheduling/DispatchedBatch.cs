namespace MArk.Serving.Scheduling;

/// <summary>A batch under way on an instance. Reused: valid until the scheduler was told how it ended.</summary>
internal sealed class DispatchedBatch
{
    private int[] _slots = new int[16];
    private int _count;

    public SchedulerInstance Instance { get; private set; } = null!;

    public TimeSpan DispatchedAt { get; private set; }

    /// <summary>Since when it has the instance, as far as is known: since it was dispatched, or since the batch before it was done.</summary>
    public TimeSpan RunsSince { get; set; }

    /// <summary>How long its instance was busy with it.</summary>
    public TimeSpan Took(TimeSpan now) => (SlotFreedAt ?? now) - RunsSince;

    public BatchReason Reason { get; private set; }

    /// <summary>How long its oldest request waited.</summary>
    public TimeSpan OldestWait { get; set; }

    /// <summary>When its slot could take the next batch, if that was said before the batch had ended.</summary>
    public TimeSpan? SlotFreedAt { get; set; }

    public int Group { get; private set; }

    /// <summary>What is left for the batch that this one is a part of; nothing if it is whole.</summary>
    public RetryBudget? Budget { get; set; }

    public int Count => _count;

    /// <summary>The requests' slots, in batch order.</summary>
    public ReadOnlySpan<int> Slots => _slots.AsSpan(0, _count);

    /// <summary>The driver's own record of the batch.</summary>
    public object? Tag { get; set; }

    public void Begin(SchedulerInstance instance, TimeSpan now, int group)
    {
        Instance = instance;
        DispatchedAt = RunsSince = now;
        Group = group;
        OldestWait = TimeSpan.Zero;
        SlotFreedAt = null;
        Tag = null;
        Budget = null;
        _count = 0;
    }

    public void Add(int slot)
    {
        if (_count == _slots.Length)
        {
            Array.Resize(ref _slots, _count * 2);
        }
        _slots[_count++] = slot;
    }

    public void Finish(BatchReason reason) => Reason = reason;
}
