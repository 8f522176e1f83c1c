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

    public int MaxBatchSize => IsOnTrial ? 1 : Math.Max(1, LargestBatch >> SlowStart);

    /// <summary>How often its batches are halved while it is new, or back after it failed.</summary>
    public int SlowStartFrom { get; init; }

    /// <summary>How often they are halved still; once less after each batch that went well.</summary>
    public int SlowStart { get; set; }

    /// <summary>How many of its last batches on end took far longer than its peers would have.</summary>
    public int SlowOnEnd { get; set; }

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

    /// <summary>Whether its last batch was of requests in time, and late ones were left waiting.</summary>
    public bool PassedOverLate { get; set; }

    /// <summary>When the work it has is expected to be done.</summary>
    public TimeSpan BusyUntil { get; private set; }

    /// <summary>When a batch of its last ended.</summary>
    public TimeSpan LastEnd { get; private set; }

    public int SlotsInUse { get; private set; }

    public IReadOnlyList<DispatchedBatch> Running => _running;

    public bool Accepts => Serves && SlotsInUse < Slots;

    /// <summary>Whether its batches are so short that making one up takes as long as running one: while it runs one, a full one may wait behind it.</summary>
    public bool RunsAhead { get; set; }

    /// <summary>Whether it takes a full batch though it is not idle.</summary>
    public bool AcceptsAhead => RunsAhead && Serves && !IsOnTrial && SlotsInUse == Slots;

    /// <summary>Whether it takes work, now or when it is done with what it has.</summary>
    public bool Serves => !IsBusy && !IsDraining && !IsOut;

    public TimeSpan FreeAt(TimeSpan now) => BusyUntil > now ? BusyUntil : now;

    public void Begin(DispatchedBatch batch, TimeSpan now)
    {
        _running.Add(batch);
        SlotsInUse++;
        BusyUntil = FreeAt(now) + Profile.Mean(batch.Count);
    }

    /// <summary>The instance is done with a batch, though answers may still be to come, and goes on with the others it has.</summary>
    public void FreeSlot(DispatchedBatch batch, TimeSpan now)
    {
        if (batch.SlotFreedAt is not null)
        {
            return;
        }
        batch.SlotFreedAt = now;
        SlotsInUse--;
        BusyUntil = now;
        foreach (var other in _running)
        {
            if (other.SlotFreedAt is null)
            {
                // Of batches that truly run at once this counts what lies between their ends: right as a rate, short as a latency.
                other.RunsSince = now;
                BusyUntil += Profile.Mean(other.Count);
            }
        }
    }

    public void End(DispatchedBatch batch, TimeSpan now)
    {
        FreeSlot(batch, now);
        _running.Remove(batch);
        LastEnd = now;
    }
}
