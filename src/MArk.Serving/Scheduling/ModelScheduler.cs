using MArk.Serving.Profiling;

namespace MArk.Serving.Scheduling;

/// <summary>
/// Decides, for one model, which requests run when, on which instance and in which batch; which are spilled and which are refused.
/// A deterministic state machine: events and the present instant in, commands out. It has no clock, lock, task or thread, and is
/// driven by the live engine and by the simulator alike. After each event the driver takes the commands.
/// </summary>
internal sealed partial class ModelScheduler
{
    private readonly SchedulerSettings _settings;
    private readonly RequestTable _requests = new();
    private readonly KeyTable _keys = new();
    private readonly TenantTable _tenants;
    private readonly GroupList _groups;
    private readonly List<SchedulerInstance> _instances = [];   // fastest first, then oldest
    private readonly Dictionary<int, IBatchPolicy> _policies = [];
    private readonly Queue<RetryBatch> _retries = new();
    private readonly Stack<DispatchedBatch> _spareBatches = [];
    private readonly CompletionForecast _forecast;
    private readonly CandidateList _candidates;
    private readonly ArrivalRateWindow _arrivalRate;
    private readonly TimeSpan _trialAfter;
    private readonly LatenessMargin _spillMargin;      // of what could be spilled
    private readonly LatenessMargin _targetMargin;     // of what is spilled
    private readonly LatenessMargin _overloadMargin;  // of all else, while more arrives than can be served
    private SchedulerCommand[] _commands = new SchedulerCommand[32];
    private int _commandCount;
    private TimeSpan _capacityExpectedAt = TimeSpan.MaxValue;
    private TimeSpan _wakeAt = TimeSpan.MaxValue;
    private int _lateCount;
    private int _inTimeCount;
    private int _groupsInTime;      // that have requests in time
    private readonly int[] _classCount = new int[RequestGroup.Classes];    // of those in time
    private readonly long[] _classBytes = new long[RequestGroup.Classes];
    private readonly int[] _lateClassCount = new int[RequestGroup.Classes];
    private readonly long[] _lateClassBytes = new long[RequestGroup.Classes];
    private int _retryCount;
    private int _strictCount;       // requests in time or to be retried that are judged on time: those to be spilled or rejected
    private long _waitingBytes;
    private long _lateBytes;
    private int _spilledCount;
    private readonly bool _isWeighed;   // whether batches are limited by weight
    private double _meanWeight;         // of recent arrivals
    private bool _stopping;
    private bool _drainIsOver;
    private bool _drainedSaid;

    public ModelScheduler(SchedulerSettings settings)
    {
        _settings = settings;
        _tenants = new TenantTable(settings.TenantShares);
        _groups = new GroupList(_requests, _tenants);
        SetBounds();
        _forecast = new CompletionForecast(_instances, settings.MaxBatchSize);
        _candidates = new CandidateList(_requests, settings.MaxBatchWeight);
        _jitter = new Random(settings.Seed);
        _isWeighed = settings.MaxBatchWeight != SchedulerSettings.NoWeightLimit;
        var window = TimeSpan.FromTicks(Math.Clamp(settings.Slo.Ticks * 5, TimeSpan.TicksPerSecond / 10, TimeSpan.TicksPerSecond * 5));
        _arrivalRate = new ArrivalRateWindow(window);
        _spillMargin = new LatenessMargin(settings.Slo);
        // A quote is believed until they come late.
        _targetMargin = new LatenessMargin(settings.Slo, SpilledTogether);
        _targetMargin.Forget();
        _overloadMargin = new LatenessMargin(settings.Slo);
        _trialAfter = TimeSpan.FromTicks(Math.Max(10 * settings.Slo.Ticks, TimeSpan.TicksPerSecond));
    }

    /// <summary>Requests that wait: in time, late, or to be retried.</summary>
    public int WaitingCount => _inTimeCount + _lateCount + _retryCount;

    /// <summary>The bytes of all that wait.</summary>
    public long WaitingBytes => _waitingBytes;

    /// <summary>Requests that wait and cannot make their deadline any more.</summary>
    public int LateCount => _lateCount;

    /// <summary>Requests that have not ended: waiting, running or spilled.</summary>
    public int RequestCount => _requests.Count;

    /// <summary>Distinct keys and shapes of those requests, none of them aside.</summary>
    public int KeyCount => _keys.Count;

    /// <summary>Tenants that are known: those of the requests, and those that were served ahead of others lately.</summary>
    public int TenantCount => _tenants.Count;

    public int InstanceCount => _instances.Count;

    /// <summary>Whether an instance could take a batch now.</summary>
    public bool HasIdleInstance => _instances.Exists(static instance => instance.Accepts);

    /// <summary>The batches under way on an instance; none if there is no such instance.</summary>
    public IReadOnlyList<DispatchedBatch> RunningOn(int id) => Find(id)?.Running ?? [];

    /// <summary>What one instance of an offering sustains with the objective kept: the mean over its instances, from their profiles as refined so far.</summary>
    public CapacityCurve CapacityOf(int offering) =>
        CapacityCurve.Of([.. _instances.Where(i => i.Offering == offering && i.Profile.IsMeasured).Select(i => (i.Profile, i.LargestBatch))], _settings.Slo);

    /// <summary>The profile of an offering's fastest instance, as refined so far; nothing while none is measured.</summary>
    public LatencyProfile? ProfileOf(int offering) => _instances.Find(i => i.Offering == offering && i.Profile.IsMeasured)?.Profile;

    /// <summary>An instance's own profile, as refined so far; nothing if there is no such instance.</summary>
    public LatencyProfile? ProfileOfInstance(int id) => Find(id)?.Profile;

    /// <summary>Whether an instance is to be taken away, or is gone.</summary>
    public bool IsDraining(int id) => Find(id)?.IsDraining ?? true;

    /// <summary>The commands of the events since they were last cleared.</summary>
    public ReadOnlySpan<SchedulerCommand> Commands => _commands.AsSpan(0, _commandCount);

    public void ClearCommands()
    {
        Array.Clear(_commands, 0, _commandCount);
        _commandCount = 0;
    }

    /// <summary>The number of a key and shape: requests of different numbers never share a batch. Only for the terms of the arrival that comes next.</summary>
    public int GroupOf(long shape, string? key) => _keys.IdOf(shape, key);

    /// <summary>The number of a tenant, 0 for none. Only for the terms of the arrival that comes next.</summary>
    public int TenantOf(string? name) => _tenants.IdOf(name);

    /// <summary>A request arrives. Its slot is the driver's key to it until a command, or the end of its batch, releases it.</summary>
    /// <param name="now">Now.</param>
    /// <param name="terms">What it asks for.</param>
    /// <param name="more">Whether another event at the same instant follows, so that what is dispatched is decided with that one.</param>
    public RequestId OnArrival(TimeSpan now, in RequestTerms terms, bool more = false)
    {
        _arrivalRate.Add(now);
        var slot = Add(now, terms);
        var id = _requests.IdOf(slot);
        if (_stopping)
        {
            Reject(slot, RejectionReason.Draining, null);
            return id;
        }
        Admit(now, slot, bounded: true);
        if (!more)
        {
            Dispatch(now);
        }
        return id;
    }

    /// <summary>
    /// Requests that come together and ask for the same: lets the first of them in that may wait without a closer look, exactly as <see cref="OnArrival"/> would have let in
    /// each, and emits nothing. Those that are left are to arrive one by one; another event at the same instant must follow.
    /// </summary>
    /// <param name="now">Now.</param>
    /// <param name="terms">What each asks for.</param>
    /// <param name="ids">Takes their names.</param>
    /// <returns>How many were let in.</returns>
    public int OnArrivals(TimeSpan now, in RequestTerms terms, Span<RequestId> ids)
    {
        var count = CountWithoutLook(now, terms, ids.Length);
        if (count == 0)
        {
            return 0;
        }
        _arrivalRate.Add(now, count);
        var group = _groups.Open(terms.Group);
        var lane = group.OpenLane(terms, _tenants);
        for (var i = 0; i < count; i++)
        {
            var slot = Add(now, terms);
            lane.Add(slot, _requests[slot]);
            ids[i] = _requests.IdOf(slot);
        }
        CountInTime(terms, count);
        CountInGroup(group, count);
        return count;
    }

    /// <summary>The last of the arrivals that were said to be followed by more has been told.</summary>
    public void OnArrivalsEnd(TimeSpan now) => Dispatch(now);

    /// <summary>A caller stopped waiting. A waiting request leaves at once; one that runs or is spilled goes on unheard.</summary>
    /// <returns>Whether the request was still here: the caller of one that is not gets the answer it already has. The driver forgets the slot either way.</returns>
    public bool OnCancelled(TimeSpan now, RequestId id)
    {
        if (!_requests.Holds(id))
        {
            return false;
        }
        ref var request = ref _requests[id.Slot];
        if (request.Cancelled)
        {
            return false;
        }
        switch (request.Place)
        {
            case RequestPlace.Queued:
                Dequeue(id.Slot);
                Release(id.Slot);
                Dispatch(now);
                break;
            case RequestPlace.Late:
                DequeueLate(id.Slot);
                Release(id.Slot);
                SayWhenDrained();
                break;
            case RequestPlace.Retry:
                LeaveRetries(id.Slot);
                Release(id.Slot);
                SayWhenDrained();
                break;
            default:
                request.Cancelled = true;
                break;
        }
        return true;
    }

    /// <summary>Takes a request out of the batches to be run again; these are few, and few at a time.</summary>
    private void LeaveRetries(int slot)
    {
        LeaveRetry(in _requests[slot].Terms);
        for (var left = _retries.Count; left > 0; left--)
        {
            var retry = _retries.Dequeue();
            var slots = Array.IndexOf(retry.Slots, slot) < 0 ? retry.Slots : [.. retry.Slots.Where(s => s != slot)];
            if (slots.Length > 0)
            {
                _retries.Enqueue(retry with { Slots = slots });
            }
        }
    }

    /// <summary>An instance is ready to take batches.</summary>
    /// <param name="now">Now.</param>
    /// <param name="id">The driver's name for it.</param>
    /// <param name="offering">Its offering's index.</param>
    /// <param name="maxBatchSize">The largest batch it takes.</param>
    /// <param name="slots">How many batches may be under way there.</param>
    /// <param name="profile">How long batches take there, from now on refined here.</param>
    /// <param name="slowStart">How often its batches are halved at first, and after it failed: what a machine elsewhere does under load is not known yet.</param>
    public void OnInstanceReady(TimeSpan now, int id, int offering, int maxBatchSize, int slots, LatencyProfile profile, int slowStart = 0)
    {
        if (!_policies.TryGetValue(offering, out var policy))
        {
            _policies.Add(offering, policy = _settings.CreatePolicy(offering));
        }
        var instance = new SchedulerInstance
        {
            Id = id,
            Offering = offering,
            LargestBatch = Math.Min(maxBatchSize, _settings.MaxBatchSize),
            AllSlots = slots,
            Profile = profile,
            Policy = policy,
            SlowStartFrom = slowStart,
            SlowStart = slowStart,
        };
        var place = 0;
        while (place < _instances.Count && _instances[place].Profile.Mean(1) <= profile.Mean(1))
        {
            place++;
        }
        _instances.Insert(place, instance);
        _forecast.Invalidate();
        JudgeLate(now);
        Dispatch(now);
    }

    /// <summary>An instance takes no batch for a while, or takes them again.</summary>
    public void OnInstanceBusy(TimeSpan now, int id, bool busy)
    {
        if (Find(id) is { } instance && instance.IsBusy != busy)
        {
            instance.IsBusy = busy;
            _forecast.Invalidate();
            if (busy)
            {
                JudgeAll(now);
            }
            else
            {
                JudgeLate(now);
            }
            Dispatch(now);
        }
    }

    /// <summary>An instance is to be taken away: it finishes what it has and gets nothing new.</summary>
    public void OnInstanceDraining(TimeSpan now, int id)
    {
        if (Find(id) is { IsDraining: false } instance)
        {
            instance.IsDraining = true;
            _forecast.Invalidate();
            if (instance.Running.Count == 0)
            {
                Forget(instance);
            }
            JudgeAll(now);
            Dispatch(now);
        }
    }

    /// <summary>
    /// The instances of a machine are gone, all at once: there are two while one takes the place of another, and what ran on one is not given to the other. What was not
    /// answered waits again, with its old deadline and place, or fails if that happened too often.
    /// </summary>
    /// <param name="now">Now.</param>
    /// <param name="ids">The instances; any that is not known is left out.</param>
    /// <param name="isAnswered">Whether a request of a batch, by batch and index, was answered before the instance went.</param>
    public void OnInstancesLost(TimeSpan now, ReadOnlySpan<int> ids, Func<DispatchedBatch, int, bool> isAnswered)
    {
        var lost = new List<SchedulerInstance>(ids.Length);
        foreach (var id in ids)
        {
            if (Find(id) is { } instance)
            {
                Remove(instance);
                lost.Add(instance);
            }
        }
        if (lost.Count == 0)
        {
            return;
        }
        foreach (var instance in lost)
        {
            foreach (var batch in instance.Running)
            {
                HandBack(now, batch, isAnswered);
                _spareBatches.Push(batch);
            }
        }
        JudgeAll(now);
        Dispatch(now);
    }

    /// <summary>A batch's slot can take the next batch, though answers are still to come.</summary>
    public void OnSlotFree(TimeSpan now, DispatchedBatch batch)
    {
        batch.Instance.FreeSlot(batch, now);
        _forecast.Invalidate();
        Dispatch(now);
    }

    /// <summary>A batch is done; every request of it was answered, well or badly, by the driver.</summary>
    /// <param name="now">Now.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="ran">How long it ran, if that was measured; otherwise it counts from when it had the instance to when its slot was free, or to now.</param>
    public void OnBatchCompleted(TimeSpan now, DispatchedBatch batch, TimeSpan? ran = null)
    {
        var duration = ran ?? batch.Took(now);
        var missed = 0;
        var (kept, keptInVain) = (0, 0);
        var (promised, promisedInVain) = (0, 0);
        foreach (var slot in batch.Slots)
        {
            ref var request = ref _requests[slot];
            var isLate = request.Terms.Deadline < now;
            missed += isLate ? 1 : 0;
            if (request.CouldSpill)
            {
                kept++;
                keptInVain += isLate ? 1 : 0;
            }
            else if (!request.IsGivenUp)
            {
                promised++;
                promisedInVain += isLate ? 1 : 0;
            }
            Release(slot);
        }
        _spillMargin.OnBatch(kept, keptInVain);
        _overloadMargin.OnBatch(promised, promisedInVain);
        batch.Instance.Profile.Observe(batch.Count, duration);
        batch.Instance.IsOnTrial = false;
        batch.Instance.SlowStart = Math.Max(0, batch.Instance.SlowStart - 1);
        var isPutOut = NoteSpeed(now, batch.Instance, batch.Count, duration);
        EndBatch(now, batch, new BatchFeedback(batch.Count, duration, Succeeded: true, missed), judgeAll: keptInVain > 0 || isPutOut);
    }

    /// <summary>A batch failed as a whole. A lone request fails; more are run again in halves, until the one that fails is alone or the extra runs are used up.</summary>
    /// <param name="now">Now.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="isAnswered">Whether a request of the batch, by index, was answered before the failure.</param>
    public void OnBatchFailed(TimeSpan now, DispatchedBatch batch, Func<DispatchedBatch, int, bool> isAnswered)
    {
        var unanswered = new List<int>();
        for (var i = 0; i < batch.Count; i++)
        {
            var slot = batch.Slots[i];
            if (_requests[slot].Cancelled || isAnswered(batch, i))
            {
                Release(slot);
            }
            else
            {
                unanswered.Add(slot);
            }
        }
        var budget = batch.Budget ?? new RetryBudget(_settings.MaxRetryRuns);
        // Answers before the failure clear nobody else: only a request that ran alone is known to be the culprit.
        if (_drainIsOver || (unanswered.Count == 1 && batch.Count == 1) || !budget.TryTake(Math.Min(2, unanswered.Count)))
        {
            unanswered.ForEach(Fail);
        }
        else if (unanswered.Count > 0)
        {
            var half = (unanswered.Count + 1) / 2;
            Retry(now, new RetryBatch(batch.Group, [.. unanswered.Take(half)], budget));
            Retry(now, new RetryBatch(batch.Group, [.. unanswered.Skip(half)], budget));
        }
        EndBatch(now, batch, new BatchFeedback(batch.Count, batch.Took(now), Succeeded: false, MissedDeadlines: 0));
    }

    /// <summary>The spillover target answered a request, or gave it back: then the fleet serves it after all, if it can.</summary>
    /// <param name="now">Now.</param>
    /// <param name="slot">The request.</param>
    /// <param name="answered">Whether it was answered.</param>
    /// <param name="isLate">Whether after its deadline, if that is known; otherwise it was answered now.</param>
    public void OnSpillCompleted(TimeSpan now, int slot, bool answered, bool? isLate = null)
    {
        ref var request = ref _requests[slot];
        _spilledCount--;
        if (answered && request.IsPromised)
        {
            _targetMargin.OnBatch(1, isLate ?? request.Terms.Deadline < now ? 1 : 0);
        }
        if (answered || request.Cancelled)
        {
            Release(slot);
            SayWhenDrained();
            return;
        }
        request.SpillFailed = true;
        request.Place = RequestPlace.Queued;
        Admit(now, slot);
        Dispatch(now);
    }

    /// <summary>When the first instance to come is expected to be ready; <see cref="TimeSpan.MaxValue"/> if none is on its way.</summary>
    public void OnCapacityExpected(TimeSpan now, TimeSpan readyAt)
    {
        if (_capacityExpectedAt != readyAt)
        {
            _capacityExpectedAt = readyAt;
            JudgeLate(now);
            Dispatch(now);
        }
    }

    /// <summary>The instant a <see cref="SchedulerCommandKind.WakeAt"/> named has come.</summary>
    public void OnWakeUp(TimeSpan now)
    {
        _wakeAt = TimeSpan.MaxValue;
        Dispatch(now);
    }

    /// <summary>The model stops: nothing new is taken, what waits goes out at once.</summary>
    public void OnStopping(TimeSpan now)
    {
        _stopping = true;
        Dispatch(now);
        SayWhenDrained();
    }

    /// <summary>The drain deadline: what still waits is refused. What runs is left to run, and is not run again if that fails.</summary>
    public void OnDrainDeadline(TimeSpan now)
    {
        _stopping = true;
        _drainIsOver = true;
        while (_retries.TryDequeue(out var retry))
        {
            foreach (var slot in retry.Slots)
            {
                LeaveRetry(in _requests[slot].Terms);
                Reject(slot, RejectionReason.Draining, null);
            }
        }
        for (var g = _groups.Count - 1; g >= 0; g--)
        {
            var group = _groups[g];
            foreach (var lane in group.Lanes)
            {
                while (lane.Count > 0)
                {
                    var slot = lane.Slots[0];
                    Leave(slot);
                    Reject(slot, RejectionReason.Draining, null);
                }
            }
            foreach (var late in group.Late)
            {
                while (late.Count > 0)
                {
                    var slot = late.Slots[0];
                    LeaveLate(slot);
                    Reject(slot, RejectionReason.Draining, null);
                }
            }
            _groups.DropIfEmpty(group);
        }
        SayWhenDrained();
    }

    private void EndBatch(TimeSpan now, DispatchedBatch batch, in BatchFeedback feedback, bool judgeAll = false)
    {
        var instance = batch.Instance;
        instance.End(batch, now);
        _forecast.Invalidate();
        if (judgeAll)
        {
            JudgeAll(now);
        }
        try
        {
            instance.Policy.Completed(feedback);
        }
        catch (Exception e)
        {
            Fault(instance.Policy, "threw from Completed.", e);
        }
        _spareBatches.Push(batch);
        if (instance.IsDraining && instance.Running.Count == 0)
        {
            Forget(instance);
        }
        Dispatch(now);
        SayWhenDrained();
    }

    private SchedulerInstance? Find(int id)
    {
        foreach (var instance in _instances)
        {
            if (instance.Id == id)
            {
                return instance;
            }
        }
        return null;
    }

    private void Remove(SchedulerInstance instance)
    {
        _instances.Remove(instance);
        _forecast.Invalidate();
        if (instance.IsOut)
        {
            _outCount--;
        }
    }

    private void Forget(SchedulerInstance instance)
    {
        Remove(instance);
        Emit(new SchedulerCommand(SchedulerCommandKind.InstanceDrained) { Instance = instance });
    }

    private void Retry(TimeSpan now, in RetryBatch retry)
    {
        if (retry.Slots.Length == 0)
        {
            return;
        }
        foreach (var slot in retry.Slots)
        {
            ref var request = ref _requests[slot];
            request.Place = RequestPlace.Retry;
            request.IsGivenUp = false;
            SetAim(now, ref request);
            EnterRetry(in request.Terms);
        }
        _retries.Enqueue(retry);
    }

    private int Add(TimeSpan now, in RequestTerms terms)
    {
        var slot = _requests.Add(now, terms);
        Hold(terms);
        _requests[slot].Place = RequestPlace.Queued;
        return slot;
    }

    private void Hold(in RequestTerms terms)
    {
        if (terms.Group != 0)
        {
            _keys.Hold(terms.Group);
        }
        if (terms.Tenant != 0)
        {
            _tenants.Hold(terms.Tenant, terms.Weight);
        }
        else if (_tenants.AreSeveral)
        {
            TenantTable.Weigh(_tenants.Nameless, terms.Weight);
        }
    }

    private void Release(int slot)
    {
        ref readonly var terms = ref _requests[slot].Terms;
        if (terms.Group != 0)
        {
            _keys.Release(terms.Group);
        }
        if (terms.Tenant != 0)
        {
            _tenants.Release(terms.Tenant);
        }
        _requests.Remove(slot);
    }

    private void Fail(int slot)
    {
        Release(slot);
        Emit(new SchedulerCommand(SchedulerCommandKind.Fail) { Slot = slot });
    }

    private void Reject(int slot, RejectionReason reason, TimeSpan? retryAfter)
    {
        var cancelled = _requests[slot].Cancelled;
        Release(slot);
        if (!cancelled)
        {
            Emit(new SchedulerCommand(SchedulerCommandKind.Reject) { Slot = slot, Reason = reason, RetryAfter = retryAfter });
        }
    }

    private void Fault(object part, string message, Exception? inner = null) =>
        Emit(new SchedulerCommand(SchedulerCommandKind.Fault) { Error = new ContractViolationException(part.GetType().Name, message, inner) });

    private void SayWhenDrained()
    {
        if (_stopping && !_drainedSaid && _requests.Count == 0)
        {
            _drainedSaid = true;
            Emit(new SchedulerCommand(SchedulerCommandKind.Drained));
        }
    }

    private void Emit(in SchedulerCommand command)
    {
        if (_commandCount == _commands.Length)
        {
            Array.Resize(ref _commands, _commandCount * 2);
        }
        _commands[_commandCount++] = command;
    }

    /// <summary>A part of a batch that failed as a whole, to be run as it is.</summary>
    private readonly record struct RetryBatch(int Group, int[] Slots, RetryBudget Budget);
}
