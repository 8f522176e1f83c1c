namespace MArk.Serving.Scheduling;

/// <summary>An instance as the scheduler knows it.</summary>
internal sealed class SchedulerInstance
{
    private readonly List<DispatchedBatch> _running = [];

    public required int Id { get; init; }

    /// <summary>The offering's index.</summary>
    public required int Offering { get; init; }

    /// <summary>The largest batch it takes when it is well.</summary>
    public required int LargestBatch { get; init; }

    /// <summary>How many batches it takes at once when it is well.</summary>
    public required int AllSlots { get; init; }

    public int MaxBatchSize => IsOnTrial ? 1 : LargestBatch;

    /// <summary>How many batches may be under way at once.</summary>
    public int Slots => IsOnTrial ? 1 : AllSlots;

    /// <summary>This instance's own profile, refined with every batch.</summary>
    public required LatencyProfile Profile { get; init; }

    public required IBatchPolicy Policy { get; init; }

    /// <summary>Kept from work by the driver for a while.</summary>
    public bool IsBusy { get; set; }

    /// <summary>Out of rotation since it failed: it gets nothing until <see cref="OutUntil"/>, and then a probe first.</summary>
    public bool IsOut { get; set; }

    public TimeSpan OutUntil { get; set; }

    public bool IsProbing { get; set; }

    /// <summary>Back without a probe: one lone request at a time, until one succeeds.</summary>
    public bool IsOnTrial { get; set; }

    /// <summary>How often it failed since it last ran a batch well.</summary>
    public int Failures { get; set; }

    public bool IsDraining { get; set; }

    /// <summary>When the work it has is expected to be done.</summary>
    public TimeSpan BusyUntil { get; private set; }

    /// <summary>When a batch of its last ended.</summary>
    public TimeSpan LastEnd { get; private set; }

    public int SlotsInUse { get; private set; }

    public IReadOnlyList<DispatchedBatch> Running => _running;

    public bool Accepts => Serves && SlotsInUse < Slots;

    /// <summary>Whether it takes work, now or when it is done with what it has.</summary>
    public bool Serves => !IsBusy && !IsDraining && !IsOut;

    public TimeSpan FreeAt(TimeSpan now) => BusyUntil > now ? BusyUntil : now;

    public void Begin(DispatchedBatch batch, TimeSpan now)
    {
        _running.Add(batch);
        SlotsInUse++;
        BusyUntil = FreeAt(now) + Profile.Mean(batch.Count);
    }

    public void FreeSlot(DispatchedBatch batch)
    {
        if (!batch.SlotFreed)
        {
            batch.SlotFreed = true;
            SlotsInUse--;
        }
    }

    /// <summary>How long a batch that ends now has had the instance: one that was handed over while another ran waited for that to end.</summary>
    public TimeSpan DurationOf(DispatchedBatch batch, TimeSpan now) => now - (batch.DispatchedAt > LastEnd ? batch.DispatchedAt : LastEnd);

    public void End(DispatchedBatch batch, TimeSpan now)
    {
        FreeSlot(batch);
        _running.Remove(batch);
        LastEnd = BusyUntil = now;
        foreach (var other in _running)
        {
            BusyUntil += Profile.Mean(other.Count);
        }
    }
}
