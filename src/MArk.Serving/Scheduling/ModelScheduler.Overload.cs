namespace MArk.Serving.Scheduling;

// The bounds of the queue: for whom there is room, who makes room for whom, and when to come back.
internal sealed partial class ModelScheduler
{
    // How many requests and bytes may wait for a request of a class to be let in: the lower the class, the less, so that some is kept for those above.
    private readonly int[] _maxLength = new int[RequestGroup.Classes];
    private readonly long[] _maxBytes = new long[RequestGroup.Classes];

    private void SetBounds()
    {
        for (var c = 0; c < RequestGroup.Classes; c++)
        {
            var share = Math.Pow(1 - _settings.PriorityHeadroom, c);
            _maxLength[c] = Math.Max(1, (int)(share * _settings.MaxQueueLength));
            _maxBytes[c] = c == 0 ? _settings.MaxQueueBytes : (long)(share * _settings.MaxQueueBytes);
        }
    }

    /// <summary>Whether a request would fit if so many fewer waited, of so many bytes.</summary>
    private bool Fits(in RequestTerms terms, int fewer = 0, long fewerBytes = 0) => RoomFor(terms, 1, fewer, fewerBytes) > 0;

    /// <summary>
    /// How many such requests would fit if so many fewer waited, of so many bytes; none where it is not more than zero. Where nothing waits, one fits, whatever is kept of the bytes for
    /// higher classes: it would never be let in otherwise.
    /// </summary>
    private int RoomFor(in RequestTerms terms, int most, int fewer = 0, long fewerBytes = 0)
    {
        var c = RequestGroup.ClassOf(terms.Priority);
        var count = Math.Min(most, _maxLength[c] - (WaitingCount - fewer));
        var bytes = _maxBytes[c] - (_waitingBytes - fewerBytes);
        var room = bytes < 0 ? 0 : terms.Bytes > 0 ? (int)Math.Min(count, bytes / terms.Bytes) : count;
        return room == 0 && count > 0 && WaitingCount == 0 && terms.Bytes <= _settings.MaxQueueBytes ? 1 : room;
    }

    /// <summary>Whether one more may wait. The first to leave a full queue are requests that are late anyway, those of the lowest class before others.</summary>
    private bool HasRoom(TimeSpan now, in RequestTerms terms, bool isLate = false)
    {
        if (Fits(terms))
        {
            return true;
        }
        var (late, bytes) = LateThatMakeRoom(terms, isLate);
        if (!Fits(terms, late, bytes))
        {
            // While every instance is busy nobody looks at what has become late.
            JudgeHeads(now);
            (late, bytes) = LateThatMakeRoom(terms, isLate);
            if (!Fits(terms, late, bytes))
            {
                return false;
            }
        }
        while (!Fits(terms))
        {
            EvictLate(now);
        }
        return true;
    }

    /// <summary>
    /// How many late requests, and of how many bytes, leave for a request rather than that it is refused: those of its own class and of lower ones; for one in time also those of higher ones,
    /// unless room is kept for these.
    /// </summary>
    private (int Count, long Bytes) LateThatMakeRoom(in RequestTerms terms, bool isLate = false)
    {
        var c = RequestGroup.ClassOf(terms.Priority);
        if (!isLate && _maxLength[c] == _maxLength[0] && _maxBytes[c] == _maxBytes[0])
        {
            return (_lateCount, _lateBytes);
        }
        var (count, bytes) = (0, 0L);
        for (; c < RequestGroup.Classes; c++)
        {
            count += _lateClassCount[c];
            bytes += _lateClassBytes[c];
        }
        return (count, bytes);
    }

    private void EvictLate(TimeSpan now)
    {
        var c = RequestGroup.Classes - 1;
        while (_lateClassCount[c] == 0)
        {
            c--;
        }
        var slot = LateToLeave(c);
        DequeueLate(slot);
        Reject(slot, RejectionReason.QueueFull, RetryAfter(now));
    }

    /// <summary>Of the late of a class, the first of the tenant that has the most of them for its share.</summary>
    private int LateToLeave(int priorityClass)
    {
        if (_tenants.AreSeveral)
        {
            CountByTenant(TenantTable.LateTurn(priorityClass));
        }
        Lane? first = null;
        foreach (var group in _groups)
        {
            foreach (var lane in group.Late)
            {
                if (lane.Class == priorityClass && lane.Count > 0 && (first is null || (lane.Tenant == first.Tenant
                    ? lane.Deadlines[0] < first.Deadlines[0]
                    : lane.Tenant.Counted / lane.Tenant.Share > first.Tenant.Counted / first.Tenant.Share)))
                {
                    first = lane;
                }
            }
        }
        return first!.Slots[0];
    }

    /// <summary>
    /// Makes room in a full queue for a request that is in time: those of lower classes leave, the last of them first; failing that, the last of the tenant
    /// that has the most waiting for its share, if that stays more than the newcomer's has.
    /// </summary>
    private bool TryDisplace(TimeSpan now, in RequestTerms terms)
    {
        var c = RequestGroup.ClassOf(terms.Priority);
        var (lower, lowerBytes) = (0, 0L);
        var (late, lateBytes) = LateThatMakeRoom(terms);
        for (var other = c + 1; other < RequestGroup.Classes; other++)
        {
            lower += _classCount[other];
            lowerBytes += _classBytes[other];
        }
        if (lower > 0 && Fits(terms, late + lower, lateBytes + lowerBytes))
        {
            while (!Fits(terms))
            {
                if (late > 0)
                {
                    EvictLate(now);
                    late--;
                }
                else
                {
                    Displace(now, LastOfLowestClass());
                }
            }
            return true;
        }
        if (!_tenants.AreSeveral || LastOfGreediest(terms) is not { } last)
        {
            return false;
        }
        if (!Fits(terms, late + 1, lateBytes + _requests[last].Terms.Bytes))
        {
            return false;
        }
        for (; late > 0 && !Fits(terms); late--)
        {
            EvictLate(now);
        }
        if (!Fits(terms))
        {
            Displace(now, last);
        }
        return true;
    }

    private void Displace(TimeSpan now, int slot)
    {
        Dequeue(slot);
        if (!TrySpill(now, slot))
        {
            Reject(slot, RejectionReason.QueueFull, RetryAfter(now));
        }
    }

    private int LastOfLowestClass()
    {
        Lane? last = null;
        foreach (var group in _groups)
        {
            foreach (var lane in group.Lanes)
            {
                if (lane.Count > 0 && (last is null || lane.Class > last.Class || (lane.Class == last.Class && lane.Deadlines[^1] > last.Deadlines[^1])))
                {
                    last = lane;
                }
            }
        }
        return last!.Slots[^1];
    }

    private int? LastOfGreediest(in RequestTerms terms)
    {
        var c = RequestGroup.ClassOf(terms.Priority);
        var own = _tenants[terms.Tenant];
        CountByTenant(c);
        Tenant? greediest = null;
        foreach (var group in _groups)
        {
            foreach (var lane in group.Lanes)
            {
                if (lane.Class == c && lane.Count > 0 && (greediest is null || lane.Tenant.Counted / lane.Tenant.Share > greediest.Counted / greediest.Share))
                {
                    greediest = lane.Tenant;
                }
            }
        }
        var ownCount = own.IsWaiting(c) ? own.Counted : 0;
        if (greediest is null || greediest == own || (greediest.Counted - 1) / greediest.Share < (ownCount + 1) / own.Share)
        {
            return null;
        }
        Lane? last = null;
        foreach (var group in _groups)
        {
            foreach (var lane in group.Lanes)
            {
                if (lane.Class == c && lane.Tenant == greediest && lane.Count > 0 && (last is null || lane.Deadlines[^1] > last.Deadlines[^1]))
                {
                    last = lane;
                }
            }
        }
        return last!.Slots[^1];
    }

    /// <summary>Counts what waits for some turns, a class's in time or its late ones, into the tenants' <see cref="Tenant.Counted"/>.</summary>
    private void CountByTenant(int turn)
    {
        foreach (var group in _groups)
        {
            foreach (var lane in group.LanesOf(turn))
            {
                lane.Tenant.Counted = 0;
            }
        }
        foreach (var group in _groups)
        {
            foreach (var lane in group.LanesOf(turn))
            {
                lane.Tenant.Counted += lane.Turn == turn ? lane.Count : 0;
            }
        }
    }

    /// <summary>
    /// When such a request can expect to be taken: when all that wait in time are expected to have started. Nothing only where no instance serves and
    /// none is on its way; never zero, since whoever is told to come back at once would find things as they are.
    /// </summary>
    private TimeSpan? RetryAfter(TimeSpan now)
    {
        ExpectBatchesOfAll();
        var finish = _forecast.Finish(now, _inTimeCount + _retryCount, 0, out var start);
        if (finish == TimeSpan.MaxValue)
        {
            if (NextCapacityAt() == TimeSpan.MaxValue)
            {
                return null;
            }
            start = ExpectedWithoutInstance(now);
        }
        return start > now ? start - now : ShortestBatch();
    }

    /// <summary>The time of a lone request on the fastest instance; the objective, as long as nothing is measured.</summary>
    private TimeSpan ShortestBatch()
    {
        var shortest = TimeSpan.Zero;
        foreach (var instance in _instances)
        {
            var alone = instance.Profile.Mean(1);
            if (instance.Serves && alone > TimeSpan.Zero && (shortest == TimeSpan.Zero || alone < shortest))
            {
                shortest = alone;
            }
        }
        return shortest > TimeSpan.Zero ? shortest : _settings.Slo;
    }
}
