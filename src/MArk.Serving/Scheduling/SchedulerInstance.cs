namespace MArk.Serving.Scheduling;

/// <summary>An instance as the scheduler knows it.</summary>
internal sealed class SchedulerInstance
{
    private readonly List<DispatchedBatch> _running = [];

    public required int Id { get; init; }

    /// <summary>The offering's index.</summary>
    public required int Offering { get; init; }

    public required int MaxBatchSize { get; init; }

    /// <summary>How many batches may be under way at once.</summary>
    public required int Slots { get; init; }

    /// <summary>This instance's own profile, refined with every batch.</summary>
    public required LatencyProfile Profile { get; init; }

    public required IBatchPolicy Policy { get; init; }


    /// <summary>Taken out of rotation for a while; it may come back.</summary>
    public bool IsBusy { get; set; }

    public bool IsDraining { get; set; }

    /// <summary>When the work it has is expected to be done.</summary>
    public TimeSpan BusyUntil { get; private set; }

    public int SlotsInUse { get; private set; }

    public IReadOnlyList<DispatchedBatch> Running => _running;

    public bool Accepts => !IsBusy && !IsDraining && SlotsInUse < Slots;

    /// <summary>Whether it will take work again.</summary>
    public bool Serves => !IsBusy && !IsDraining;

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

    public void End(DispatchedBatch batch, TimeSpan now)
    {
        FreeSlot(batch);
        _running.Remove(batch);
        if (_running.Count == 0)
        {
            BusyUntil = now;
        }
    }
}
