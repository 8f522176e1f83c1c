using MArk.Serving.Spillover;

namespace MArk.Serving.Scheduling;

// Who may wait, who is late, who is spilled, who is refused.
internal sealed partial class ModelScheduler
{
    private const double WeightOfLast = 0.02;

    // Spilled requests are late mostly several at a time, for one reason, as those of a batch are.
    private const int SpilledTogether = 32;

    // How long the last moment to spill a request lasts: a timer of a millisecond that is set to whole ones, and is late.
    private static readonly TimeSpan LastMoment = TimeSpan.FromMilliseconds(3);

    private SpilloverQuote? _quote;
    private TimeSpan _quoteExpires;
    private bool _quoteAsked;
    private long _spillsIssued;
    private long _spillsQuoted;     // those of them that the quote knows of

    /// <summary>The spillover target's fresh quote.</summary>
    /// <param name="now">Now.</param>
    /// <param name="quote">The quote.</param>
    /// <param name="started">Of all requests that were ever spilled, how many the target had been given when it was asked: it does not know of the others. Nothing if all.</param>
    public void OnQuote(TimeSpan now, SpilloverQuote quote, long? started = null)
    {
        _quote = QuoteBounds.Clamp(quote);
        _quoteExpires = quote.ValidFor > TimeSpan.MaxValue - now ? TimeSpan.MaxValue : now + quote.ValidFor;
        _quoteAsked = false;
        _spillsQuoted = started ?? _spillsIssued;
    }

    private void Admit(TimeSpan now, int slot, bool bounded = false)
    {
        ref var request = ref _requests[slot];
        SetAim(now, ref request);
        if (bounded && _isWeighed)
        {
            Weigh(request.Terms.Weight);
        }
        if (_drainIsOver)
        {
            Reject(slot, RejectionReason.Draining, null);
        }
        else if (!(request.Aim == request.Terms.Deadline && IsReachableByFar(now, request.Aim, request.Terms.Group)) && !IsReachable(now, slot, MarginUnderOverload(now, request)))
        {
            if (bounded && IsDueForTrial(now, request.Terms))
            {
                EnqueueLate(slot);
            }
            else
            {
                HandleUnreachable(now, slot, bounded);
            }
        }
        else if (!bounded || HasRoom(now, request.Terms))
        {
            Enqueue(slot, ref request);
        }
        else if (!TrySpill(now, slot))
        {
            if (TryDisplace(now, request.Terms))
            {
                Enqueue(slot, ref request);
            }
            else
            {
                Reject(slot, RejectionReason.QueueFull, RetryAfter(now));
            }
        }
    }

    /// <summary>Of requests that ask for the same, how many may wait whatever is known of each: there is room for all of them, and the last of them is reachable by far.</summary>
    private int CountWithoutLook(TimeSpan now, in RequestTerms terms, int most)
    {
        if (_stopping || _isWeighed || terms.WhenUnreachable == WhenUnreachable.Spill || !MayShareWithAll(terms.Group))
        {
            return 0;
        }
        var count = RoomFor(terms, most);
        return count > 0 && IsReachableByFar(now, terms.Deadline, terms.Group, count - 1) ? count : 0;
    }

    /// <summary>What can be spilled is to be done before its deadline by a margin, since a spill costs less than a late answer.</summary>
    private void SetAim(TimeSpan now, ref RequestState request)
    {
        request.IsKept = request.IsKeptForGood = false;
        request.Aim = request.Terms.Deadline;
        if (request.Terms.WhenUnreachable == WhenUnreachable.Spill && !request.SpillFailed && SpillLatency(now) is { } latency && now + latency <= request.Terms.Deadline)
        {
            request.Aim -= _spillMargin.Value;
            request.CouldSpill = true;
        }
    }

    /// <summary>
    /// An instance that is thought too slow gets nothing, and so would be thought too slow for ever, though it was only disturbed for a while. What was
    /// seen of one that has had nothing to do for long no longer counts, and one request is tried on it, in time or not.
    /// </summary>
    private bool IsDueForTrial(TimeSpan now, in RequestTerms terms)
    {
        if (WaitingCount > 0 || terms.Deadline - now < _settings.Slo / 2)
        {
            return false;
        }
        foreach (var instance in _instances)
        {
            if (instance.Accepts && instance.Running.Count == 0 && now - instance.LastEnd > _trialAfter)
            {
                instance.Profile.Forget();
                _spillMargin.Forget();
                _overloadMargin.Forget();
                _forecast.Invalidate();
                return true;
            }
        }
        return false;
    }

    /// <summary>A batch limited by weight is expected to hold as many requests as weigh as much as those that came of late.</summary>
    private void Weigh(int weight)
    {
        _meanWeight = _meanWeight == 0 ? weight : _meanWeight + WeightOfLast * (weight - _meanWeight);
        _forecast.LimitBatches((int)Math.Clamp(_settings.MaxBatchWeight / _meanWeight, 1, _settings.MaxBatchSize));
    }

    /// <summary>
    /// While more arrives than can be served, somebody is late, and who waits is best not who is in time by a hair: a batch that takes a little longer would make all of it late. So a request is let in
    /// only if it is expected to be done before its deadline by a margin, which costs nobody in time: another takes its place. Of the time that two batches leave it is at most half.
    /// </summary>
    private TimeSpan MarginUnderOverload(TimeSpan now, in RequestState request)
    {
        if (request.CouldSpill || _overloadMargin.Value == TimeSpan.Zero || !_forecast.IsExceededBy(_arrivalRate.Rate(now)))
        {
            return TimeSpan.Zero;
        }
        var most = (request.Terms.Deadline - now - 2 * _forecast.LongestBatch) / 2;
        return most < TimeSpan.Zero ? TimeSpan.Zero : most < _overloadMargin.Value ? most : _overloadMargin.Value;
    }

    /// <summary>Whether a request that is not to be spilled is reachable whatever the margin; so most arrivals are, and little is needed to tell.</summary>
    private bool IsReachableByFar(TimeSpan now, TimeSpan deadline, int group, int moreAhead = 0) =>
        _forecast.IsSurelyDoneBy(new TimeSpan(deadline.Ticks - _overloadMargin.Value.Ticks), now, _inTimeCount + _retryCount + moreAhead, GroupsBefore(group));

    private bool IsReachable(TimeSpan now, int slot, TimeSpan margin = default)
    {
        ref var request = ref _requests[slot];
        var deadline = ToBeDoneBy(now, request) - margin;
        // Most arrivals could wait behind all that wait.
        return _forecast.IsSurelyDoneBy(deadline, now, _inTimeCount + _retryCount, GroupsBefore(request.Terms.Group)) || IsDoneBy(now, deadline, CountAhead(request));
    }

    /// <summary>Whether a request behind so many is expected to be done by then.</summary>
    private bool IsDoneBy(TimeSpan now, TimeSpan deadline, in Ahead ahead)
    {
        if (_forecast.IsSurelyDoneBy(deadline, now, ahead.IsShared ? ahead.Requests : ahead.InBatches + ahead.Position - 1, ahead.IsShared ? 0 : ahead.Batches + 1))
        {
            return true;
        }
        var rate = _arrivalRate.Rate(now);
        TimeSpan finish;
        if (ahead.IsShared)
        {
            _forecast.ExpectBatches(0, 0);
            finish = _forecast.Finish(now, ahead.Requests, rate, out _, deadline);
        }
        else
        {
            finish = FinishBehind(now, ahead, rate, deadline);
        }
        return (finish == TimeSpan.MaxValue ? ExpectedWithoutInstance(now) : finish) <= deadline;
    }

    /// <summary>When a request is expected to be done that may not share its batches with all that goes before it.</summary>
    private TimeSpan FinishBehind(TimeSpan now, in Ahead ahead, double arrivalRate, TimeSpan deadline)
    {
        _forecast.ExpectBatches(ahead.Held, ahead.Batches);
        return _forecast.FinishAfter(now, ahead.Batches, ahead.InBatches, ahead.Position, arrivalRate * ahead.Joining, deadline);
    }

    private TimeSpan ToBeDoneBy(TimeSpan now, in RequestState request) => request.Aim < request.Terms.Deadline ? request.Aim - LeastOverdue(now) : request.Aim;

    /// <summary>How long the batches under way have taken beyond what was expected, on the instance where that is least. So long they may take again.</summary>
    private TimeSpan LeastOverdue(TimeSpan now)
    {
        var least = TimeSpan.MaxValue;
        foreach (var instance in _instances)
        {
            if (instance.Serves)
            {
                var overdue = instance.SlotsInUse > 0 && now > instance.BusyUntil ? now - instance.BusyUntil : TimeSpan.Zero;
                least = overdue < least ? overdue : least;
            }
        }
        return least == TimeSpan.MaxValue ? TimeSpan.Zero : least;
    }

    /// <summary>With no instance, the earliest a request can be served is when the next one is ready.</summary>
    private TimeSpan ExpectedWithoutInstance(TimeSpan now) => NextCapacityAt() is var next && next > now ? next : now;

    /// <summary>What that waits goes before a request that does not.</summary>
    private Ahead CountAhead(in RequestState request) => _tenants.AreSeveral ? CountAheadFairly(request) : CountAheadByDeadline(request);

    private Ahead CountAheadByDeadline(in RequestState request)
    {
        var count = new AheadCount(this, request.Terms.Group);
        var ownClass = RequestGroup.ClassOf(request.Terms.Priority);
        foreach (var group in _groups)
        {
            var before = 0;
            foreach (var lane in group.Lanes)
            {
                before += lane.Class < ownClass ? lane.Count
                    : lane.Class == ownClass ? lane.CountBefore(After(request.Aim))
                    : 0;
            }
            count.Add(group, before);
        }
        return count.Result;
    }

    /// <summary>
    /// Among tenants: all of higher classes, those of its own tenant with earlier deadlines, and of each other tenant as much as it is served while these are.
    /// </summary>
    private Ahead CountAheadFairly(in RequestState request)
    {
        ref readonly var terms = ref request.Terms;
        var count = new AheadCount(this, terms.Group);
        var c = RequestGroup.ClassOf(terms.Priority);
        var own = _tenants[terms.Tenant];
        var before = 0;
        var (others, batchesOfOthers) = (0, 0);
        CountByTenant(c);
        foreach (var group in _groups)
        {
            var (higher, earlier, ofOthers) = (0, 0, 0);
            foreach (var lane in group.Lanes)
            {
                higher += lane.Class < c ? lane.Count : 0;
                earlier += lane.Class == c && lane.Tenant == own ? lane.CountBefore(After(request.Aim)) : 0;
                ofOthers += lane.Class == c && lane.Tenant != own ? lane.Count : 0;
            }
            count.Add(group, higher + earlier);
            before += earlier;
            others += ofOthers;
            batchesOfOthers += ofOthers > 0 ? BatchesOf(ofOthers) : 0;
        }
        var turn = _tenants.StartOf(own, c) + before * own.MeanWeight / own.Share;
        own.Counted = 0;
        var first = 0;
        foreach (var group in _groups)
        {
            foreach (var lane in group.Lanes)
            {
                if (lane.Class == c && lane.Tenant.Counted > 0)
                {
                    var served = Math.Max(0, turn - lane.Tenant.Served(c)) * lane.Tenant.Share / lane.Tenant.MeanWeight;
                    first += (int)Math.Min(lane.Tenant.Counted, served + 1);
                    lane.Tenant.Counted = 0;
                }
            }
        }
        // Which of the others' keys these are is not known: they make as many batches as all of the others'.
        return count.Result.With(first, first == 0 ? 0 : (int)(((long)first * batchesOfOthers + others - 1) / others));
    }

    private int BatchesOf(int requests) => (requests - 1) / LargestBatch + 1;

    /// <summary>The most that a batch is expected to hold.</summary>
    private int LargestBatch => _forecast.LargestPull is > 0 and var largest ? largest : _settings.MaxBatchSize;

    /// <summary>What goes before a request.</summary>
    /// <param name="IsShared">Whether it may share its batches with all of that: then only the number of requests counts.</param>
    /// <param name="Requests">How many requests.</param>
    /// <param name="Batches">In how many batches before its own.</param>
    /// <param name="InBatches">How many of the requests are in these, and not in its own.</param>
    /// <param name="Held">What these hold: what goes later, and may share them, fills them up.</param>
    /// <param name="Position">Its place in its own batch, from 1.</param>
    /// <param name="Joining">What share of the arrivals may join its batch.</param>
    private readonly record struct Ahead(bool IsShared, int Requests, int Batches, int InBatches, int Held, int Position, double Joining)
    {
        public Ahead With(int requests, int batches) =>
            this with { Requests = Requests + requests, Batches = Batches + batches, InBatches = InBatches + requests, Held = Held + requests };
    }

    /// <summary>Adds up, group by group, what goes before a request of one of them, besides what is to be run again.</summary>
    private ref struct AheadCount(ModelScheduler scheduler, int ownGroup)
    {
        private readonly bool _isShared = scheduler.MayShareWithAll(ownGroup);
        private int _requests = scheduler._retryCount;
        private int _batches = scheduler._retries.Count;
        private int _held = scheduler._retryCount;
        private int _own;       // that share its batches

        public void Add(RequestGroup group, int before)
        {
            _requests += before;
            if (_isShared || before == 0)
            {
                return;
            }
            if (group.Id == ownGroup)
            {
                _own += before;
                return;
            }
            var batches = scheduler.BatchesOf(before);
            _batches += batches;
            _held += Math.Min(group.InTimeCount, batches * scheduler.LargestBatch);
        }

        public readonly Ahead Result
        {
            get
            {
                var full = _own / scheduler.LargestBatch;
                // Of its own key come as many as wait of it.
                return new Ahead(_isShared, _requests, _batches + full, _requests - _own % scheduler.LargestBatch, _held + full * scheduler.LargestBatch, _own % scheduler.LargestBatch + 1, (_own + 1.0) / (_requests + 1));
            }
        }
    }

    private static TimeSpan After(TimeSpan deadline) => deadline == TimeSpan.MaxValue ? deadline : deadline + new TimeSpan(1);

    /// <summary>Deals with one that waits and cannot be in time where it does. Its lane stays, though it may be empty.</summary>
    private void HandleUnreachable(TimeSpan now, Lane lane, int slot)
    {
        lane.HoldTurn();
        Leave(slot);
        HandleUnreachable(now, slot);
        lane.LetGoOfTurn();
    }

    private void HandleUnreachable(TimeSpan now, int slot, bool bounded = false)
    {
        ref var request = ref _requests[slot];
        if (TrySpill(now, slot))
        {
            return;
        }
        if (request.Aim < request.Terms.Deadline)
        {
            // It could be spilled when it was admitted, and cannot now: what is left is to try.
            request.Aim = request.Terms.Deadline;
            if (IsReachable(now, slot))
            {
                Enqueue(slot);
                return;
            }
        }
        if (TryGiveUp(now, slot))
        {
            return;
        }
        if (bounded && !HasRoom(now, _requests[slot].Terms, isLate: true))
        {
            Reject(slot, RejectionReason.QueueFull, RetryAfter(now));
        }
        else
        {
            EnqueueLate(slot);
        }
    }

    /// <summary>Has what cannot be in time any more leave, if it is answered sooner elsewhere or its caller wants no late answer.</summary>
    /// <param name="now">Now.</param>
    /// <param name="slot">The request.</param>
    /// <param name="ahead">What goes before it; all that waits, if nothing is said.</param>
    private bool TryGiveUp(TimeSpan now, int slot, Ahead? ahead = null)
    {
        ref var request = ref _requests[slot];
        if (request.CouldSpill)
        {
            request.CouldSpill = false;
            _spillMargin.OnGivenUp();
        }
        if (TrySpillLate(now, slot, ahead))
        {
            return true;
        }
        if (!IsRefusedWhenLate(request.Terms))
        {
            return false;
        }
        var none = _forecast.Finish(now, 0, 0, out _) == TimeSpan.MaxValue && NextCapacityAt() == TimeSpan.MaxValue;
        Reject(slot, none ? RejectionReason.NoCapacity : RejectionReason.DeadlineUnreachable, RetryAfter(now));
        return true;
    }

    private static bool IsRefusedWhenLate(in RequestTerms terms) =>
        terms.WhenUnreachable == WhenUnreachable.Reject || (terms.WhenUnreachable == WhenUnreachable.Spill && terms.OwnDeadline);

    private void EnqueueLate(int slot)
    {
        ref var request = ref _requests[slot];
        request.Place = RequestPlace.Late;
        request.IsGivenUp = true;
        request.Aim = request.Terms.Deadline;
        _groups.Open(request.Terms.Group).OpenLate(request.Terms, _tenants).Add(slot, request);
        CountLate(request.Terms, 1);
    }

    private void CountLate(in RequestTerms terms, int count)
    {
        var c = RequestGroup.ClassOf(terms.Priority);
        _lateCount += count;
        _lateClassCount[c] += count;
        _lateBytes += count * terms.Bytes;
        _lateClassBytes[c] += count * terms.Bytes;
        _waitingBytes += count * terms.Bytes;
    }

    private bool TrySpill(TimeSpan now, int slot)
    {
        ref var request = ref _requests[slot];
        if (request.Terms.WhenUnreachable != WhenUnreachable.Spill || request.SpillFailed || SpillLatency(now) is not { } latency || now + latency > request.Terms.Deadline)
        {
            return false;
        }
        // By more than the margin, or it says nothing of whether that is large enough.
        request.IsPromised = now + latency + _targetMargin.Value <= request.Terms.Deadline;
        Spill(slot);
        return true;
    }

    /// <summary>What is late wherever it goes is spilled if it is answered sooner so.</summary>
    private bool TrySpillLate(TimeSpan now, int slot, Ahead? ahead)
    {
        ref var request = ref _requests[slot];
        if (request.Terms.WhenUnreachable != WhenUnreachable.Spill || request.Terms.OwnDeadline || request.SpillFailed || SpillLatency(now) is not { } latency)
        {
            return false;
        }
        TimeSpan finish;
        if (ahead is { } known)
        {
            finish = FinishBehind(now, known, 0, now + latency);
        }
        else
        {
            ExpectBatchesOfAll(andLate: true);
            finish = _forecast.Finish(now, _inTimeCount + _retryCount + _lateCount, _arrivalRate.Rate(now), out _);
        }
        if ((finish == TimeSpan.MaxValue ? ExpectedWithoutInstance(now) : finish) <= now + latency)
        {
            return false;
        }
        Spill(slot);
        return true;
    }

    private void Spill(int slot)
    {
        _spillsIssued++;
        _spilledCount++;
        ref var request = ref _requests[slot];
        request.Place = RequestPlace.Spilled;
        // It is not kept any more: what becomes of it there, or here if it is given back, says nothing of what is.
        request.CouldSpill = false;
        Emit(new SchedulerCommand(SchedulerCommandKind.Spill) { Slot = slot });
    }

    /// <summary>
    /// Spills those for which it is the last moment to, unless they are still expected to be done in time, with the margin: later, nothing could be done for one that is not. That is so twice:
    /// when the target, which may come later than quoted, is all but sure to be in time, and when it is by the quote.
    /// </summary>
    private void SpillAtLastMoment(TimeSpan now)
    {
        if (TimeToSpill(now) is not { } last)
        {
            return;
        }
        var sure = last + _targetMargin.Value;
        SpillBetween(now, last, last + LastMoment, isSure: false);
        if (sure > last)
        {
            SpillBetween(now, sure > last + LastMoment ? sure : last + LastMoment, sure + LastMoment, isSure: true);
        }
    }

    /// <summary>Spills those that have at least and at most so long until they are to be done, if they were not judged and kept at that moment before.</summary>
    private void SpillBetween(TimeSpan now, TimeSpan least, TimeSpan most, bool isSure)
    {
        for (var g = _groups.Count - 1; g >= 0; g--)
        {
            var group = _groups[g];
            foreach (var lane in group.Lanes)
            {
                lane.HoldTurn();
                for (var i = lane.CountBefore(now + least); i < lane.Count && lane.Deadlines[i] <= now + most;)
                {
                    var slot = lane.Slots[i];
                    if (!HasLastMoment(_requests[slot], isSure))
                    {
                        i++;
                        continue;
                    }
                    // Out of the queue first, so that a request does not count itself as being ahead.
                    Leave(slot);
                    if (IsReachable(now, slot) || !TrySpill(now, slot))
                    {
                        Keep(ref _requests[slot], isSure);
                        Enqueue(slot);
                        i++;
                    }
                }
                lane.LetGoOfTurn();
            }
            _groups.DropIfEmpty(group);
        }
    }

    /// <summary>How long a spilled request would take, by the quote; nothing if none may be spilled now.</summary>
    private TimeSpan? SpillLatency(TimeSpan now)
    {
        if (_quote is not { } quote)
        {
            return null;
        }
        if (now > _quoteExpires && !_quoteAsked)
        {
            _quoteAsked = true;
            Emit(new SchedulerCommand(SchedulerCommandKind.RefreshQuote));
        }
        var used = _spillsIssued - _spillsQuoted;
        if (used >= quote.FreeConcurrency)
        {
            return null;
        }
        return used < quote.WarmConcurrency ? quote.Warm.P95 : quote.Cold.P95;
    }

    /// <summary>How long before the instant that a request is to be done by, as the queues have it, which is before its deadline by a margin, it is the last moment to spill it by the quote; nothing if none may be spilled now.</summary>
    private TimeSpan? TimeToSpill(TimeSpan now) => SpillLatency(now) is { } latency ? latency - _spillMargin.Value : null;

    /// <summary>After capacity went away, or more was late than expected: every request that waits in time is judged again, in order.</summary>
    private void JudgeAll(TimeSpan now)
    {
        for (var g = _groups.Count - 1; g >= 0; g--)
        {
            var group = _groups[g];
            foreach (var lane in group.Lanes)
            {
                lane.HoldTurn();
                for (var i = 0; i < lane.Count;)
                {
                    var slot = lane.Slots[i];
                    // Out of the queue first, so that a request does not count itself as being ahead.
                    Leave(slot);
                    var aim = _requests[slot].Aim;
                    SetAim(now, ref _requests[slot]);
                    if (IsReachable(now, slot))
                    {
                        Enqueue(slot);
                        // One that is given more time is met again further on.
                        i += _requests[slot].Aim > aim ? 0 : 1;
                    }
                    else
                    {
                        HandleUnreachable(now, slot);
                    }
                }
                lane.LetGoOfTurn();
            }
            _groups.DropIfEmpty(group);
        }
    }

    /// <summary>
    /// After capacity came: what is late and can make it after all is in time again. Otherwise one of a far deadline, late for want of an instance, would
    /// be passed over as long as others of nearer deadlines are late.
    /// </summary>
    private void JudgeLate(TimeSpan now)
    {
        if (_lateCount == 0)
        {
            return;
        }
        var first = EarliestFinish(now);
        for (var g = _groups.Count - 1; g >= 0; g--)
        {
            foreach (var late in _groups[g].Late)
            {
                for (var i = late.CountBefore(first); i < late.Count;)
                {
                    var slot = late.Slots[i];
                    if (IsReachable(now, slot))
                    {
                        LeaveLate(slot);
                        Enqueue(slot);
                    }
                    else
                    {
                        i++;
                    }
                }
            }
            _groups[g].DropEmptyLanes();
        }
    }

    /// <summary>Takes out of the queues' heads what no instance can finish in time any more.</summary>
    private void JudgeHeads(TimeSpan now)
    {
        var first = EarliestFinish(now);
        for (var g = _groups.Count - 1; g >= 0; g--)
        {
            var group = _groups[g];
            foreach (var lane in group.Lanes)
            {
                while (lane.Count > 0 && lane.Deadlines[0] < first)
                {
                    HandleUnreachable(now, lane, lane.Slots[0]);
                }
            }
            _groups.DropIfEmpty(group);
        }
    }

    /// <summary>What is to be run again goes before all that waits, and is judged as the heads are: when no instance can finish it in time any more, and at the last moment to spill it.</summary>
    private void JudgeRetries(TimeSpan now)
    {
        var first = EarliestFinish(now);
        var (ahead, batches) = (0, 0);
        for (var left = _retries.Count; left > 0; left--)
        {
            var retry = _retries.Dequeue();
            var kept = 0;
            var before = new Ahead(IsShared: false, ahead, batches, InBatches: ahead, Held: ahead, Position: retry.Slots.Length, Joining: 0);
            foreach (var slot in retry.Slots)
            {
                if (!TryEndRetry(now, slot, first, before))
                {
                    retry.Slots[kept++] = slot;
                    ahead++;
                }
            }
            if (kept > 0)
            {
                batches++;
                _retries.Enqueue(kept == retry.Slots.Length ? retry : retry with { Slots = retry.Slots[..kept] });
            }
        }
    }

    private bool TryEndRetry(TimeSpan now, int slot, TimeSpan first, in Ahead ahead)
    {
        ref var request = ref _requests[slot];
        var isLate = request.Aim < first;
        var isSure = false;
        if (request.IsGivenUp || (!isLate && !IsLastMomentToSpill(now, request, out isSure)))
        {
            return false;
        }
        // Out of the queue first, so that a request does not count itself as being ahead.
        LeaveRetry(in request.Terms);
        if (isLate ? TrySpill(now, slot) : !IsDoneBy(now, ToBeDoneBy(now, request), ahead) && TrySpill(now, slot))
        {
            return true;
        }
        if (!isLate)
        {
            Keep(ref request, isSure);
        }
        else
        {
            // It could be spilled when it was admitted, and cannot now: what is left is to try.
            request.Aim = request.Terms.Deadline;
            request.IsGivenUp = request.Aim < first;
            if (request.IsGivenUp && TryGiveUp(now, slot, ahead))
            {
                return true;
            }
        }
        EnterRetry(in request.Terms);
        return false;
    }

    private bool IsLastMomentToSpill(TimeSpan now, in RequestState request, out bool isSure)
    {
        isSure = false;
        if (TimeToSpill(now) is not { } last)
        {
            return false;
        }
        var left = request.Aim - now;
        isSure = left > last + LastMoment;
        var time = isSure ? last + _targetMargin.Value : last;
        return left >= time && left <= time + LastMoment && HasLastMoment(request, isSure);
    }

    /// <summary>At one of the last moments to spill a request it is left where it waits.</summary>
    private static void Keep(ref RequestState request, bool isSure)
    {
        request.IsKept = true;
        request.IsKeptForGood |= !isSure;
    }

    private TimeSpan EarliestFinish(TimeSpan now)
    {
        var first = TimeSpan.MaxValue;
        foreach (var instance in _instances)
        {
            if (instance.Serves)
            {
                var finish = instance.FreeAt(now) + instance.Profile.High(1);
                first = finish < first ? finish : first;
            }
        }
        return first == TimeSpan.MaxValue ? ExpectedWithoutInstance(now) : first;
    }

    private void Enqueue(int slot) => Enqueue(slot, ref _requests[slot]);

    private void Enqueue(int slot, ref RequestState request)
    {
        request.Place = RequestPlace.Queued;
        request.IsGivenUp = false;
        var group = _groups.Open(request.Terms.Group);
        group.OpenLane(request.Terms, _tenants).Add(slot, request);
        CountInTime(request.Terms, 1);
        CountInGroup(group, 1);
    }

    private void CountInTime(in RequestTerms terms, int count)
    {
        var c = RequestGroup.ClassOf(terms.Priority);
        _inTimeCount += count;
        _classCount[c] += count;
        _classBytes[c] += count * terms.Bytes;
        _waitingBytes += count * terms.Bytes;
        CountStrict(terms, count);
    }

    private void CountInGroup(RequestGroup group, int count)
    {
        var before = group.InTimeCount;
        group.InTimeCount += count;
        _groupsInTime += (group.InTimeCount > 0 ? 1 : 0) - (before > 0 ? 1 : 0);
    }

    /// <summary>What is asked for next stands among all that wait in time, or behind them.</summary>
    private void ExpectBatchesOfAll(bool andLate = false)
    {
        if (_retries.Count == 0 && _groupsInTime <= 1 && !andLate)
        {
            _forecast.ExpectBatches(0, 0);
            return;
        }
        var (requests, batches, groups) = (_retryCount, _retries.Count, _retries.Count);
        foreach (var group in _groups)
        {
            var waiting = group.InTimeCount + (andLate ? group.LateCount : 0);
            if (waiting > 0)
            {
                requests += waiting;
                batches += BatchesOf(waiting);
                groups++;
            }
        }
        _forecast.ExpectBatches(requests, groups > 1 ? batches : 0);
    }

    /// <summary>Whether one more of a group may share batches with all that wait in time.</summary>
    private bool MayShareWithAll(int group) => _retries.Count == 0 && (_groupsInTime == 0 || (_groupsInTime == 1 && _groups.Find(group) is { InTimeCount: > 0 }));

    /// <summary>How many groups wait in time, besides what is to be run again, if one of a group goes behind them all; 0 where they may share batches.</summary>
    private int GroupsBefore(int group) => MayShareWithAll(group) ? 0 : _groupsInTime + 1 + _retries.Count;

    /// <summary>Takes a request out of its queue; its group, if that is empty now, is still to be dropped.</summary>
    private RequestGroup Leave(int slot)
    {
        ref var request = ref _requests[slot];
        var group = _groups.Of(request.Terms.Group);
        group.LaneOf(request.Terms, _tenants).Remove(slot);
        CountInTime(request.Terms, -1);
        CountInGroup(group, -1);
        return group;
    }

    private void Dequeue(int slot) => _groups.DropIfEmpty(Leave(slot));

    private void CountStrict(in RequestTerms terms, int count) => _strictCount += terms.WhenUnreachable == WhenUnreachable.ServeLate ? 0 : count;

    private RequestGroup LeaveLate(int slot)
    {
        ref var request = ref _requests[slot];
        var group = _groups.Of(request.Terms.Group);
        group.LateOf(request.Terms, _tenants).Remove(slot);
        CountLate(request.Terms, -1);
        return group;
    }

    private void DequeueLate(int slot) => _groups.DropIfEmpty(LeaveLate(slot));

    /// <summary>The group whose first late request is of the highest class, then of the tenant that was served the least, then has the earliest deadline.</summary>
    private RequestGroup? FirstLate()
    {
        RequestGroup? first = null;
        Lane? firstLane = null;
        foreach (var group in _groups)
        {
            if (FirstLateOf(group) is { } lane && (firstLane is null || GoesBefore(lane, firstLane)))
            {
                (first, firstLane) = (group, lane);
            }
        }
        return first;
    }

    /// <summary>The lane of a group whose first late request goes first; nothing if none is late.</summary>
    private static Lane? FirstLateOf(RequestGroup group)
    {
        Lane? first = null;
        foreach (var lane in group.Late)
        {
            if (lane.Count > 0 && (first is null || GoesBefore(lane, first)))
            {
                first = lane;
            }
        }
        return first;
    }

    /// <summary>Whether the first of a lane goes before that of another, of the same turns or other ones, neither being empty.</summary>
    private static bool GoesBefore(Lane lane, Lane other) =>
        lane.Class != other.Class ? lane.Class < other.Class
        : lane.Tenant != other.Tenant ? lane.Tenant.IsBefore(other.Tenant, lane.Turn)
        : lane.Deadlines[0] < other.Deadlines[0];
}
