using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace MArk.Serving.Scheduling;

/// <summary>Names a request within one scheduler. The version tells a request from a later one in the same slot.</summary>
internal readonly record struct RequestId(int Slot, uint Version);

/// <summary>What the caller of a request asked for.</summary>
/// <param name="Deadline">When the answer stops being worth having, in scheduling time.</param>
/// <param name="Group">Requests of different groups never share a batch: key and shape, made dense by <see cref="ModelScheduler.GroupOf"/>.</param>
/// <param name="Priority">The class.</param>
/// <param name="WhenUnreachable">What to do when the fleet cannot make it.</param>
/// <param name="OwnDeadline">Whether the caller gave the deadline; otherwise it comes from the SLO.</param>
/// <param name="Weight">How much of a batch it takes; at least 1.</param>
/// <param name="Bytes">How much of the queue's bytes it takes; not negative.</param>
/// <param name="Tenant">Who it is for, from <see cref="ModelScheduler.TenantOf"/>.</param>
internal readonly record struct RequestTerms(
    TimeSpan Deadline, int Group, RequestPriority Priority, WhenUnreachable WhenUnreachable, bool OwnDeadline, int Weight = 1, long Bytes = 0, int Tenant = 0)
{
    /// <summary>What to do when the fleet cannot make it, where the caller does not say.</summary>
    public static WhenUnreachable Otherwise(bool canSpill, bool ownDeadline) =>
        canSpill ? WhenUnreachable.Spill : ownDeadline ? WhenUnreachable.Reject : WhenUnreachable.ServeLate;
}

/// <summary>Where a request is.</summary>
internal enum RequestPlace : byte
{
    Free = 0,
    Queued,
    Late,
    Retry,
    Running,
    Spilled,
}

/// <summary>One request the scheduler holds.</summary>
internal struct RequestState
{
    public RequestTerms Terms;
    public TimeSpan Aim;        // when it is to be done: its deadline, or somewhat before it if it can be spilled
    public TimeSpan Arrival;
    public long Sequence;
    public uint Version;
    public RequestPlace Place;
    public bool Cancelled;      // while running or spilled: the caller is gone, the work goes on
    public bool CouldSpill;     // kept where it could have been spilled
    public bool IsGivenUp;      // late as far as is known, and served for want of better
    public bool IsKept;         // when it was to be spilled by what the target takes beyond its quotes, it was left where it waits
    public bool IsKeptForGood;  // and at the last moment by the quote too
    public bool IsPromised;     // spilled, and sure to be in time by the target's quote and what it had taken beyond its quotes
    public bool SpillFailed;    // the target gave it back: it is not offered again
    public byte Losses;         // how many instances died under it
}

/// <summary>The scheduler's requests in reused slots, so that admitting one allocates nothing.</summary>
internal sealed class RequestTable
{
    private RequestState[] _states = new RequestState[64];
    private int[] _free = new int[64];
    private int _freeCount;
    private int _used;
    private long _sequence;

    /// <summary>How many requests there are.</summary>
    public int Count => _used - _freeCount;

    public ref RequestState this[int slot]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref _states[slot];
    }

    public int Add(TimeSpan now, in RequestTerms terms)
    {
        int slot;
        if (_freeCount > 0)
        {
            slot = _free[--_freeCount];
        }
        else
        {
            if (_used == _states.Length)
            {
                Array.Resize(ref _states, _used * 2);
            }
            slot = _used++;
        }
        ref var state = ref _states[slot];
        var version = state.Version + 1;
        state = default;
        state.Version = version;
        state.Terms = terms;
        state.Aim = terms.Deadline;
        state.Arrival = now;
        state.Sequence = _sequence++;
        return slot;
    }

    public RequestId IdOf(int slot) => new(slot, _states[slot].Version);

    /// <summary>Whether the request is still here: it may have ended, and its slot may serve another.</summary>
    public bool Holds(RequestId id) =>
        (uint)id.Slot < (uint)_used && _states[id.Slot].Version == id.Version && _states[id.Slot].Place != RequestPlace.Free;

    public void Remove(int slot)
    {
        Debug.Assert(_states[slot].Place != RequestPlace.Free);
        _states[slot].Place = RequestPlace.Free;
        if (_freeCount == _free.Length)
        {
            Array.Resize(ref _free, _freeCount * 2);
        }
        _free[_freeCount++] = slot;
    }
}
