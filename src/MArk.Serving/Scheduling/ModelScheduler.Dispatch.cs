namespace MArk.Serving.Scheduling;

// Which idle instance takes which requests.
internal sealed partial class ModelScheduler
{
    // How many of a lane are looked at for the next that is to be spilled: any event may ask for it.
    private const int MaxLooks = 32;

    private enum Offered
    {
        Held,
        Taken,
        TakesTooLong,
    }

    private void Dispatch(TimeSpan now)
    {
        if (_outCount > 0)
        {
            ProbeThoseDue(now);
        }
        if (WaitingCount == 0 || (_strictCount == 0 && !AnyAccepts()))
        {
            // Nobody can take anything, and nobody has to be told in time that nobody will.
            SayWhenDrained();
            return;
        }
        var hold = TimeSpan.MaxValue;
        if (_inTimeCount > 0)
        {
            JudgeHeads(now);
            if (_strictCount > 0)
            {
                SpillAtLastMoment(now);
            }
        }
        if (_retryCount > 0)
        {
            JudgeRetries(now);
        }
        var holding = -1;       // the offering whose policy holds: its other instances would be told the same
        for (var i = 0; i < _instances.Count && WaitingCount > 0; i++)
        {
            var instance = _instances[i];
            while (instance.Accepts && TryDispatchTo(now, instance, ref holding, ref hold))
            {
            }
        }
        foreach (var instance in _instances)
        {
            if (AcceptsAhead(instance))
            {
                TryDispatchAhead(now, instance);
            }
        }
        Arm(now, hold);
        SayWhenDrained();
    }

    private bool AnyAccepts()
    {
        foreach (var instance in _instances)
        {
            if (instance.Accepts || AcceptsAhead(instance))
            {
                return true;
            }
        }
        return false;
    }

    private bool TryDispatchTo(TimeSpan now, SchedulerInstance instance, ref int holding, ref TimeSpan hold)
    {
        if (_retries.Count > 0)
        {
            DispatchRetry(now, instance);
            return true;
        }
        var soonest = instance.FreeAt(now) + instance.Profile.High(1);
        if (holding != instance.Offering && MostUrgent(soonest) is { } urgent)
        {
            // What is late of the same group goes along with it.
            if (LateThatCanGoFirst(now, instance) is { } passedOver && passedOver != urgent)
            {
                DispatchLate(now, instance, passedOver);
                return true;
            }
            if (Offer(now, instance, urgent, soonest, ref hold) == Offered.Taken)
            {
                return true;
            }
            // The most urgent group is held; another may be ready to go, and be done before the held one must start.
            var doneBy = _groups.Count > 1 ? MustStartBy(now, instance, urgent) : TimeSpan.MaxValue;
            foreach (var group in _groups)
            {
                if (group == urgent || !IsCandidate(group, soonest))
                {
                    continue;
                }
                switch (Offer(now, instance, group, soonest, ref hold, doneBy))
                {
                    case Offered.Taken:
                        return true;
                    case Offered.TakesTooLong:
                        // There is work for the instance, and so nothing to hold for: the more urgent goes first.
                        Offer(now, instance, urgent, soonest, ref hold, mayHold: false);
                        return true;
                    default:
                        break;
                }
            }
            if (LateThatCanGoFirst(now, instance) is { } meanwhile)
            {
                DispatchLate(now, instance, meanwhile);
                return true;
            }
            holding = instance.Offering;
            return false;
        }
        if (holding != instance.Offering && _lateCount > 0 && FirstLate() is { } late)
        {
            DispatchLate(now, instance, late);
            return true;
        }
        return false;
    }

    // Not before what is to be run again: that waits for an idle instance.
    private bool AcceptsAhead(SchedulerInstance instance) => instance.AcceptsAhead && _inTimeCount >= instance.MaxBatchSize && _retries.Count == 0;

    /// <summary>Has a full batch wait behind the one that an instance runs, where the policy would send all of it.</summary>
    private void TryDispatchAhead(TimeSpan now, SchedulerInstance instance)
    {
        var soonest = instance.FreeAt(now) + instance.Profile.High(1);
        if (MostUrgent(soonest) is { } urgent)
        {
            var none = TimeSpan.MaxValue;
            Offer(now, instance, urgent, soonest, ref none, onlyFull: true);
        }
    }

    private static bool IsCandidate(RequestGroup group, TimeSpan soonest)
    {
        foreach (var lane in group.Lanes)
        {
            if (lane.Count > 0 && lane.Deadlines[^1] >= soonest)
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>
    /// The group whose first candidate is of the highest class, then of the tenant that was served the least, then has the earliest deadline. What this instance
    /// is too slow for is left to a faster one.
    /// </summary>
    private RequestGroup? MostUrgent(TimeSpan soonest)
    {
        RequestGroup? best = null;
        Lane? bestLane = null;
        var bestDeadline = TimeSpan.MaxValue;
        foreach (var group in _groups)
        {
            foreach (var lane in group.Lanes)
            {
                if (bestLane is not null && lane.Class > bestLane.Class)
                {
                    break;
                }
                var first = lane.CountBefore(soonest);
                if (first == lane.Count)
                {
                    continue;
                }
                var deadline = lane.Deadlines[first];
                if (bestLane is null || lane.Class < bestLane.Class
                    || (lane.Tenant == bestLane.Tenant ? deadline < bestDeadline : lane.Tenant.IsBefore(bestLane.Tenant, lane.Class)))
                {
                    (best, bestLane, bestDeadline) = (group, lane, deadline);
                }
            }
        }
        return best;
    }

    /// <summary>When the candidates, whose group is held, must start on this instance to end in time; never, if the policy holds them for longer, or another can take them.</summary>
    private TimeSpan MustStartBy(TimeSpan now, SchedulerInstance instance, RequestGroup group)
    {
        if (!instance.Profile.IsMeasured)
        {
            return TimeSpan.MaxValue;
        }
        var latest = _candidates.Earliest - instance.Profile.High(_candidates.Count);
        if (group.HeldUntil > latest)
        {
            return TimeSpan.MaxValue;
        }
        foreach (var other in _instances)
        {
            if (other != instance && other.Accepts && other.FreeAt(now) + other.Profile.High(Math.Min(_candidates.Count, other.MaxBatchSize)) <= _candidates.Earliest)
            {
                return TimeSpan.MaxValue;
            }
        }
        return latest;
    }

    /// <summary>Asks the policy what the instance takes of a group.</summary>
    /// <param name="now">Now.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="group">A group with candidates.</param>
    /// <param name="soonest">When the instance is done with one request at the earliest.</param>
    /// <param name="hold">When the first hold ends.</param>
    /// <param name="doneBy">It takes nothing that would not be done by then.</param>
    /// <param name="mayHold">Whether the policy may hold them; otherwise it is not asked, and what ends in time goes.</param>
    /// <param name="onlyFull">Whether it takes nothing but a full batch.</param>
    private Offered Offer(
        TimeSpan now, SchedulerInstance instance, RequestGroup group, TimeSpan soonest, ref TimeSpan hold, TimeSpan? doneBy = null, bool mayHold = true, bool onlyFull = false)
    {
        var limit = instance.MaxBatchSize;
        _candidates.Gather(group, soonest, limit);
        if (onlyFull && _candidates.Count < limit)
        {
            return Offered.Held;
        }
        if (GiveUpCrowdedHeads(now, instance, group, ref soonest))
        {
            _candidates.Gather(group, soonest, limit);
            if (onlyFull && _candidates.Count < limit)
            {
                return Offered.Held;
            }
        }
        var context = new BatchContext
        {
            Now = now,
            StartsAt = instance.FreeAt(now),
            Deadlines = _candidates.Deadlines,
            QueueLength = _candidates.Waiting,
            EarliestDeadline = _candidates.Earliest,
            HeadArrival = _requests[_candidates.Slots[0]].Arrival,
            MaxBatchSize = limit,
            Weight = _candidates.Weight,
            MaxBatchWeight = _settings.MaxBatchWeight == SchedulerSettings.NoWeightLimit ? null : _settings.MaxBatchWeight,
            Profile = instance.Profile,
            FreeSlots = Math.Max(1, instance.Slots - instance.SlotsInUse),
            ArrivalRate = _arrivalRate.Rate(now),
            ReadyInstances = _instances.Count - _outCount,
            OtherIdleInstances = CountOtherIdle(instance),
            NextInstanceFreeAt = NextFree(now),
        };
        var decision = _stopping || !mayHold ? BatchDecision.Dispatch(SafeSize(context)) : Decide(instance.Policy, context);
        if (decision.Kind != BatchDecisionKind.Dispatch)
        {
            if (decision.Kind == BatchDecisionKind.WaitUntil)
            {
                hold = decision.Until < hold ? decision.Until : hold;
                group.HeldUntil = decision.Until;
            }
            return Offered.Held;
        }
        if (context.StartsAt + instance.Profile.High(decision.Count) > doneBy)
        {
            return Offered.TakesTooLong;
        }
        var reason = ReasonOf(decision.Count, context, group);
        group.HeldUntil = TimeSpan.MaxValue;
        DispatchCandidates(now, instance, group, decision.Count, reason);
        return Offered.Taken;
    }

    private BatchReason ReasonOf(int count, in BatchContext context, RequestGroup group)
    {
        if (_stopping)
        {
            return BatchReason.Drain;
        }
        if (context.IsFull && count == context.Deadlines.Length)
        {
            return BatchReason.Full;
        }
        if (context.StartsAt + context.Profile.High(count + 1) > context.EarliestDeadline)
        {
            return BatchReason.Deadline;
        }
        return count < context.QueueLength ? BatchReason.Full
            : group.HeldUntil <= context.Now ? BatchReason.HoldEnded
            : BatchReason.IdleInstance;
    }

    /// <summary>
    /// Under overload the heads' deadlines are near, allow only small batches, and so keep the instance too slow for the requests behind
    /// them, which become tight in turn. Heads that force a batch too small to keep up with this instance's share of the arrivals
    /// are given up, if without them a batch of a higher throughput leaves (Nexus, SOSP 2019, calls it early drop): spilled, if they can be.
    /// </summary>
    /// <returns>Whether any were given up: the candidates must be gathered anew.</returns>
    private bool GiveUpCrowdedHeads(TimeSpan now, SchedulerInstance instance, RequestGroup group, ref TimeSpan soonest)
    {
        var profile = instance.Profile;
        var most = _candidates.Count;
        var fitting = Math.Max(1, profile.LargestWithin(_candidates.Earliest - instance.FreeAt(now), most));
        if (_stopping || fitting >= most || !profile.IsMeasured)
        {
            return false;
        }
        var share = _arrivalRate.Rate(now) / (_instances.Count - _outCount);
        if (profile.Throughput(fitting) >= share)
        {
            return false;
        }
        var target = fitting;
        while (target < most && profile.Throughput(target) < share)
        {
            target++;
        }
        TimeSpan bar;
        while (true)
        {
            bar = instance.FreeAt(now) + profile.High(target);
            var kept = Math.Min(target, CountBehind(group, soonest, bar, out var highest));
            if (kept > 0 && profile.Throughput(kept) > profile.Throughput(fitting))
            {
                break;
            }
            // These heads are spared, and with them all of higher classes: a batch that ends by the first of them may still be worth those of lower ones.
            target = profile.LargestWithin(FirstDeadline(group, soonest, highest) - instance.FreeAt(now), target - 1);
            if (target <= fitting)
            {
                return false;
            }
        }
        foreach (var lane in group.Lanes)
        {
            var skip = lane.CountBefore(soonest);
            while (lane.CountBefore(bar) > skip)
            {
                HandleUnreachable(now, lane, lane.Slots[skip]);
            }
        }
        // The policy may hold what is left, and a lane's tenant be forgotten meanwhile.
        group.DropEmptyLanes();
        soonest = bar;
        return true;
    }

    /// <summary>
    /// How many would be left if the heads before a bar were given up, in the highest class that has any of these and in those above: none is given up for the sake of lower classes, of which
    /// nothing counts.
    /// </summary>
    private static int CountBehind(RequestGroup group, TimeSpan soonest, TimeSpan bar, out int highest)
    {
        var left = 0;
        highest = RequestGroup.Classes;
        foreach (var lane in group.Lanes)
        {
            if (lane.Class > highest)
            {
                break;
            }
            var first = lane.CountBefore(bar);
            highest = first > lane.CountBefore(soonest) ? lane.Class : highest;
            left += lane.Count - first;
        }
        return left;
    }

    /// <summary>The earliest deadline, of those that can be met, in a class and those above.</summary>
    private static TimeSpan FirstDeadline(RequestGroup group, TimeSpan soonest, int lowestClass)
    {
        var earliest = TimeSpan.MaxValue;
        foreach (var lane in group.Lanes)
        {
            var first = lane.CountBefore(soonest);
            if (lane.Class <= lowestClass && first < lane.Count && lane.Deadlines[first] < earliest)
            {
                earliest = lane.Deadlines[first];
            }
        }
        return earliest;
    }

    private BatchDecision Decide(IBatchPolicy policy, in BatchContext context)
    {
        BatchDecision decision;
        try
        {
            decision = policy.Decide(context);
        }
        catch (Exception e)
        {
            Fault(policy, "threw from Decide.", e);
            return BatchDecision.Dispatch(SafeSize(context));
        }
        switch (decision.Kind)
        {
            case BatchDecisionKind.Dispatch when decision.Count < 1 || decision.Count > context.Deadlines.Length:
                Fault(policy, $"decided to dispatch {decision.Count}; accepted are 1 to {context.Deadlines.Length} ({context.QueueLength} wait, the batch limit is {context.MaxBatchSize}).");
                return BatchDecision.Dispatch(SafeSize(context));
            case BatchDecisionKind.WaitUntil when decision.Until <= context.Now:
                Fault(policy, $"decided to wait until {decision.Until}, which is not after now ({context.Now}).");
                return BatchDecision.Dispatch(SafeSize(context));
            case BatchDecisionKind.WaitForEvent or BatchDecisionKind.WaitUntil or BatchDecisionKind.Dispatch:
                return decision;
            default:
                Fault(policy, $"decided {(int)decision.Kind}, which is no kind of decision.");
                return BatchDecision.Dispatch(SafeSize(context));
        }
    }

    /// <summary>What goes out where a policy does not decide: as many as fit and end by the earliest deadline.</summary>
    private static int SafeSize(in BatchContext context) =>
        Math.Max(1, context.Profile.LargestWithin(context.EarliestDeadline - context.StartsAt, context.Deadlines.Length));

    private void DispatchCandidates(TimeSpan now, SchedulerInstance instance, RequestGroup group, int count, BatchReason reason)
    {
        var finish = instance.FreeAt(now) + instance.Profile.High(count);
        var batch = NewBatch(instance, now, group.Id);
        var slots = _candidates.Slots[..count];
        foreach (var slot in slots)
        {
            Take(now, slot, finish, batch);
        }
        var (earliest, takesAll) = (_candidates.Earliest, count == _candidates.Count);
        _candidates.Remove(count);
        CountInGroup(group, -count);
        // Where others could have gone in time, the batch is as small as the policy wants it.
        if (takesAll)
        {
            TakeLateAlong(now, instance, group, batch, earliest);
        }
        instance.PassedOverLate = _lateCount > 0;
        _groups.DropIfEmpty(group);
        Start(now, batch, reason);
    }

    /// <summary>
    /// Fills a batch of requests in time up with late ones, as long as that makes none of them late, nor one that arrives now: they would wait for an instance that nothing in
    /// time wants, and where small batches keep up with the load, there is always something in time.
    /// </summary>
    private void TakeLateAlong(TimeSpan now, SchedulerInstance instance, RequestGroup group, DispatchedBatch batch, TimeSpan earliest)
    {
        var profile = instance.Profile;
        if (_lateCount == 0 || group.LateCount == 0 || batch.Count == 0 || !profile.IsMeasured)
        {
            return;
        }
        var start = instance.FreeAt(now);
        var ownTime = earliest - start;
        var time = _settings.Slo / 2 < ownTime ? _settings.Slo / 2 : ownTime;
        var room = profile.LargestWithin(time, profile.BestBatchSize(instance.MaxBatchSize)) - batch.Count;
        if (room > 0)
        {
            BoardLate(now, group, batch, room);
        }
    }

    /// <summary>Boards a request, unless a batch of this size would make it late, and it asked not to be run for nothing.</summary>
    private void Take(TimeSpan now, int slot, TimeSpan finish, DispatchedBatch batch)
    {
        ref var request = ref _requests[slot];
        CountInTime(request.Terms, -1);
        if (request.Aim < finish && TryTurnAway(now, slot, finish))
        {
            return;
        }
        if (_tenants.AreSeveral)
        {
            _tenants[request.Terms.Tenant].Charge(RequestGroup.ClassOf(request.Terms.Priority), request.Terms.Weight);
        }
        Board(now, slot, ref request, batch);
    }

    private bool TryTurnAway(TimeSpan now, int slot, TimeSpan finish)
    {
        if (TrySpill(now, slot))
        {
            return true;
        }
        if (finish <= _requests[slot].Terms.Deadline || !IsRefusedWhenLate(_requests[slot].Terms))
        {
            return false;
        }
        Reject(slot, RejectionReason.DeadlineUnreachable, RetryAfter(now));
        return true;
    }

    private void DispatchLate(TimeSpan now, SchedulerInstance instance, RequestGroup group)
    {
        instance.PassedOverLate = false;
        var batch = NewBatch(instance, now, group.Id);
        BoardLate(now, group, batch, instance.Profile.BestBatchSize(instance.MaxBatchSize));
        _groups.DropIfEmpty(group);
        Start(now, batch, BatchReason.Late);
    }

    private void BoardLate(TimeSpan now, RequestGroup group, DispatchedBatch batch, int most)
    {
        var weight = _isWeighed ? WeightOf(batch) : 0;
        for (; most > 0 && FirstLateOf(group) is { } lane; most--)
        {
            var slot = lane.Slots[0];
            ref var request = ref _requests[slot];
            weight += request.Terms.Weight;
            if (_isWeighed && batch.Count > 0 && weight > _settings.MaxBatchWeight)
            {
                return;
            }
            CountLate(request.Terms, -1);
            if (_tenants.AreSeveral)
            {
                lane.Tenant.Charge(lane.Turn, request.Terms.Weight);
            }
            Board(now, slot, ref request, batch);
            lane.RemoveRange(0, 1);
        }
    }

    private long WeightOf(DispatchedBatch batch)
    {
        var weight = 0L;
        foreach (var slot in batch.Slots)
        {
            weight += _requests[slot].Terms.Weight;
        }
        return weight;
    }

    /// <summary>
    /// The first late group, if the last batch passed it over, and all that wait in time, fewer than make a batch, would still be done with half of their time left after a batch
    /// of it: otherwise it would wait as long as other groups keep the instance busy, though it be with small batches, or are held.
    /// </summary>
    private RequestGroup? LateThatCanGoFirst(TimeSpan now, SchedulerInstance instance)
    {
        var profile = instance.Profile;
        if (!instance.PassedOverLate || _lateCount == 0 || !profile.IsMeasured || FirstLate() is not { } late)
        {
            return null;
        }
        var best = profile.BestBatchSize(instance.MaxBatchSize);
        if (_inTimeCount >= best)
        {
            return null;
        }
        var earliest = TimeSpan.MaxValue;
        foreach (var group in _groups)
        {
            foreach (var lane in group.Lanes)
            {
                earliest = lane.Count > 0 && lane.Deadlines[0] < earliest ? lane.Deadlines[0] : earliest;
            }
        }
        var start = instance.FreeAt(now);
        var done = profile.High(Math.Min(late.LateCount, best)) + profile.High(_inTimeCount);
        return done <= (earliest - start) / 2 ? late : null;
    }

    private void DispatchRetry(TimeSpan now, SchedulerInstance instance)
    {
        var retry = _retries.Dequeue();
        var slots = retry.Slots;
        if (slots.Length > instance.MaxBatchSize)
        {
            _retries.Enqueue(retry with { Slots = slots[instance.MaxBatchSize..] });
            retry.Budget.TakeAnyway();
            slots = slots[..instance.MaxBatchSize];
        }
        var finish = instance.FreeAt(now) + instance.Profile.High(slots.Length);
        var batch = NewBatch(instance, now, retry.Group);
        batch.Budget = retry.Budget;
        foreach (var slot in slots)
        {
            ref var request = ref _requests[slot];
            LeaveRetry(in request.Terms);
            if (request.Cancelled)
            {
                Release(slot);
            }
            else if (request.IsGivenUp || request.Aim >= finish || !TryTurnAway(now, slot, finish))
            {
                Board(now, slot, ref request, batch);
            }
        }
        Start(now, batch, BatchReason.Retry);
    }

    private void EnterRetry(in RequestTerms terms)
    {
        _retryCount++;
        _waitingBytes += terms.Bytes;
        CountStrict(terms, 1);
    }

    private void LeaveRetry(in RequestTerms terms)
    {
        _retryCount--;
        _waitingBytes -= terms.Bytes;
        CountStrict(terms, -1);
    }

    private DispatchedBatch NewBatch(SchedulerInstance instance, TimeSpan now, int group)
    {
        var batch = _spareBatches.TryPop(out var spare) ? spare : new DispatchedBatch();
        batch.Begin(instance, now, group);
        return batch;
    }

    private static void Board(TimeSpan now, int slot, ref RequestState request, DispatchedBatch batch)
    {
        request.Place = RequestPlace.Running;
        var wait = now - request.Arrival;
        if (wait > batch.OldestWait)
        {
            batch.OldestWait = wait;
        }
        batch.Add(slot);
    }

    private void Start(TimeSpan now, DispatchedBatch batch, BatchReason reason)
    {
        if (batch.Count == 0)
        {
            _spareBatches.Push(batch);
            SayWhenDrained();
            return;
        }
        batch.Finish(reason);
        batch.Instance.Begin(batch, now);
        _forecast.Invalidate();
        Emit(new SchedulerCommand(SchedulerCommandKind.Dispatch) { Batch = batch });
    }

    private int CountOtherIdle(SchedulerInstance self)
    {
        var idle = 0;
        foreach (var instance in _instances)
        {
            if (instance != self && instance.Accepts)
            {
                idle++;
            }
        }
        return idle;
    }

    private TimeSpan? NextFree(TimeSpan now)
    {
        TimeSpan? next = null;
        foreach (var instance in _instances)
        {
            if (instance.Serves && instance.SlotsInUse > 0 && (next is null || instance.BusyUntil < next))
            {
                next = instance.FreeAt(now);
            }
        }
        return next;
    }

    /// <summary>Asks to be woken when a hold ends, when a head or what is to be run again is too late, or at the last moment to spill whatever waits.</summary>
    private void Arm(TimeSpan now, TimeSpan hold)
    {
        var at = hold;
        if (_strictCount > 0)
        {
            var alone = EarliestFinish(now) - now;
            var spill = TimeToSpill(now) ?? TimeSpan.Zero;
            var sure = spill == TimeSpan.Zero ? spill : spill + _targetMargin.Value;
            foreach (var group in _groups)
            {
                foreach (var lane in group.Lanes)
                {
                    if (lane.Count > 0)
                    {
                        at = Earlier(at, TooLateAt(now, lane.Deadlines[0], alone));
                        // Where a spill is quicker than an instance, it still helps when a head is too late.
                        at = spill > alone ? Earlier(at, NextLastMoment(lane, now, spill, isSure: false)) : at;
                        at = sure > alone && sure > spill ? Earlier(at, NextLastMoment(lane, now, sure, isSure: true)) : at;
                    }
                }
            }
            foreach (var retry in _retries)
            {
                foreach (var slot in retry.Slots)
                {
                    ref readonly var request = ref _requests[slot];
                    if (request.Terms.WhenUnreachable != WhenUnreachable.ServeLate && !request.IsGivenUp)
                    {
                        at = Earlier(at, TooLateAt(now, request.Aim, alone));
                        at = spill > alone ? Earlier(at, LastMomentOf(request, now, spill, isSure: false)) : at;
                        at = sure > alone && sure > spill ? Earlier(at, LastMomentOf(request, now, sure, isSure: true)) : at;
                    }
                }
            }
        }
        WakeAt(at);
    }

    private void WakeAt(TimeSpan at)
    {
        // An earlier wake-up that is already asked for comes anyway, and asks again.
        if (at < _wakeAt)
        {
            _wakeAt = at;
            Emit(new SchedulerCommand(SchedulerCommandKind.WakeAt) { At = at });
        }
    }

    private static TimeSpan Earlier(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private static TimeSpan TooLateAt(TimeSpan now, TimeSpan deadline, TimeSpan alone)
    {
        var tooLate = deadline - alone + new TimeSpan(1);
        return tooLate > now ? tooLate : now + new TimeSpan(1);
    }

    /// <summary>
    /// The last moment to spill the first of a lane for which it is yet to come; never, if there is none. Among many that are not to be spilled it is not looked for to the end: it is then
    /// time to look on when the moment of the last that was seen would have come, which is no later.
    /// </summary>
    private TimeSpan NextLastMoment(Lane lane, TimeSpan now, TimeSpan spill, bool isSure)
    {
        var first = lane.CountBefore(now + spill + LastMoment + new TimeSpan(1));
        for (var i = first; i < lane.Count; i++)
        {
            ref readonly var request = ref _requests[lane.Slots[i]];
            if (HasLastMoment(request, isSure) || i - first == MaxLooks)
            {
                return lane.Deadlines[i] - spill - LastMoment;
            }
        }
        return TimeSpan.MaxValue;
    }

    private static TimeSpan LastMomentOf(in RequestState request, TimeSpan now, TimeSpan spill, bool isSure) =>
        HasLastMoment(request, isSure) && request.Aim - spill - LastMoment is var moment && moment > now ? moment : TimeSpan.MaxValue;

    /// <summary>Whether a request is still to be judged at its last moment to be spilled: by what the target takes beyond its quotes, if that is to be sure, otherwise by the quote.</summary>
    private static bool HasLastMoment(in RequestState request, bool isSure) =>
        request.Terms.WhenUnreachable == WhenUnreachable.Spill && !(isSure ? request.IsKept : request.IsKeptForGood);
}
