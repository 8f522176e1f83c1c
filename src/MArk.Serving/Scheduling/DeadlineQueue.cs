using System.Diagnostics;

namespace MArk.Serving.Scheduling;

/// <summary>
/// Requests by (when they are to be done, sequence) in one contiguous run of an array, so that a policy can be shown the deadlines as a span. With
/// deadlines derived from one SLO every insertion is at the end and every removal at the head: both O(1). Elsewhere the place is
/// found in O(log n), and the shorter side moves up.
/// </summary>
internal sealed class DeadlineQueue(RequestTable requests)
{
    private TimeSpan[] _deadlines = new TimeSpan[16];
    private int[] _slots = new int[16];
    private int _head;

    public int Count { get; private set; }

    public ReadOnlySpan<TimeSpan> Deadlines => _deadlines.AsSpan(_head, Count);

    public ReadOnlySpan<int> Slots => _slots.AsSpan(_head, Count);

    public void Add(int slot, in RequestState request)
    {
        var end = _head + Count;
        if (Count > 0 && !IsBefore(end - 1, request.Aim, request.Sequence))
        {
            Insert(slot, request.Aim, request.Sequence);
            return;
        }
        if (end == _slots.Length)
        {
            MakeRoomAtEnd();
            end = _head + Count;
        }
        Set(end, request.Aim, slot);
        Count++;
    }

    private void Insert(int slot, TimeSpan deadline, long sequence)
    {
        var index = Find(deadline, sequence);
        if (index < Count / 2 && _head > 0)
        {
            Move(_head, _head - 1, index);
            _head--;
        }
        else
        {
            MakeRoomAtEnd();
            Move(_head + index, _head + index + 1, Count - index);
        }
        Count++;
        Set(_head + index, deadline, slot);
    }

    public void Remove(int slot)
    {
        ref var request = ref requests[slot];
        var index = Find(request.Aim, request.Sequence);
        Debug.Assert(index < Count && _slots[_head + index] == slot);
        RemoveRange(index, 1);
    }

    public void RemoveRange(int index, int count)
    {
        if (index <= Count - index - count)
        {
            Move(_head, _head + count, index);
            _head += count;
        }
        else
        {
            Move(_head + index + count, _head + index, Count - index - count);
        }
        Count -= count;
        if (Count == 0)
        {
            _head = 0;
        }
    }

    /// <summary>How many have a deadline before an instant.</summary>
    public int CountBefore(TimeSpan instant)
    {
        if (Count == 0 || _deadlines[_head] >= instant)
        {
            return 0;
        }
        return _deadlines[_head + Count - 1] < instant ? Count : Find(instant, long.MinValue);
    }

    private int Find(TimeSpan deadline, long sequence)
    {
        int low = 0, high = Count;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (IsBefore(_head + middle, deadline, sequence))
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }
        return low;
    }

    private bool IsBefore(int position, TimeSpan deadline, long sequence) =>
        _deadlines[position] < deadline || (_deadlines[position] == deadline && requests[_slots[position]].Sequence < sequence);

    private void Set(int position, TimeSpan deadline, int slot) => (_deadlines[position], _slots[position]) = (deadline, slot);

    private void MakeRoomAtEnd()
    {
        if (_head + Count < _slots.Length)
        {
            return;
        }
        if (_head < _slots.Length / 2)
        {
            Array.Resize(ref _deadlines, _deadlines.Length * 2);
            Array.Resize(ref _slots, _slots.Length * 2);
            return;
        }
        // At least half of the array lies unused before the head: amortised over that many removals, moving is O(1).
        Move(_head, 0, Count);
        _head = 0;
    }

    private void Move(int from, int to, int count)
    {
        _deadlines.AsSpan(from, count).CopyTo(_deadlines.AsSpan(to));
        _slots.AsSpan(from, count).CopyTo(_slots.AsSpan(to));
    }
}
