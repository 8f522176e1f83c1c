using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>How a request ended, as its caller would see it.</summary>
internal enum Ending { None, Result, Failed, Rejected, Cancelled, Spilled }

/// <summary>A request as the world outside the scheduler knows it.</summary>
internal sealed class Caller(int number, RequestTerms terms, int key, string? tenant, bool poison)
{
    public int Number { get; } = number;
    public RequestTerms Terms { get; } = terms;
    public int Key { get; } = key;
    public string? Tenant { get; } = tenant;
    public bool IsPoison { get; } = poison;
    public RequestId Id { get; set; }
    public Ending Ending { get; set; }
    public RejectionReason Reason { get; set; }
    public TimeSpan? RetryAfter { get; set; }
    public bool IsSpilled { get; set; }
    public int Deliveries { get; set; }
    public TimeSpan EndedAt { get; set; }
}

/// <summary>Drives a scheduler by hand, event by event, and checks after each that it kept its promises.</summary>
internal sealed class SchedulerDriver
{
    private readonly Dictionary<int, Caller> _bySlot = [];
    private readonly Dictionary<DispatchedBatch, Caller[]> _running = [];
    private int _nextInstance;
    private bool _isExpected;
    private readonly HashSet<int> _draining = [];

    public SchedulerDriver(IBatchPolicy? policy = null, int maxBatch = 4, int maxQueue = 16, double sloMs = 100, int? maxWeight = null, long maxBytes = long.MaxValue, int maxRetryRuns = 64,
        double headroom = 0, Dictionary<string, double>? shares = null)
    {
        MaxWeight = maxWeight ?? SchedulerSettings.NoWeightLimit;
        MaxBatch = maxBatch;
        MaxQueue = maxQueue;
        Slo = TimeSpan.FromMilliseconds(sloMs);
        Scheduler = new ModelScheduler(new SchedulerSettings
        {
            ModelName = "m",
            Slo = Slo,
            MaxBatchSize = maxBatch,
            MaxBatchWeight = MaxWeight,
            MaxQueueLength = maxQueue,
            MaxQueueBytes = maxBytes,
            MaxRetryRuns = maxRetryRuns,
            PriorityHeadroom = headroom,
            TenantShares = shares ?? [],
            CreatePolicy = _ => policy ?? new MArk.Serving.Batching.SloAwareBatchPolicy(),
        });
    }

    public int MaxBatch { get; }
    public int MaxQueue { get; }
    public int MaxWeight { get; }
    public TimeSpan Slo { get; }
    public ModelScheduler Scheduler { get; }
    public TimeSpan Now { get; private set; }
    public List<Caller> Callers { get; } = [];
    public List<Caller> Spilled { get; } = [];
    public List<int> Instances { get; } = [];
    public List<int> Probing { get; } = [];
    public Dictionary<int, TimeSpan> Out { get; } = [];
    public int ExtraRuns { get; private set; }
    public int WholeBatchesFailed { get; private set; }
    public HashSet<int> Unserving { get; } = [];
    public bool CanServe => _isExpected || Instances.Exists(i => !Unserving.Contains(i) && !Out.ContainsKey(i));
    public List<string> Log { get; } = [];
    public List<ServingException> Faults { get; } = [];
    public bool Drained { get; private set; }
    public Action<DispatchedBatch, Caller[]>? Dispatched { get; set; }
    public TimeSpan? WakeAt { get; private set; }
    public IReadOnlyCollection<DispatchedBatch> Running => _running.Keys;
    public bool Stopping { get; private set; }

    /// <summary>Whether instances have a full batch wait behind the one that runs, from the first that they complete on.</summary>
    public bool RunsAhead { get; init; }

    public static TimeSpan Ms(double ms) => TimeSpan.FromMilliseconds(ms);

    public void Advance(double ms)
    {
        var to = Now + Ms(ms);
        while (WakeAt is { } at && at <= to)
        {
            Now = at > Now ? at : Now;
            WakeAt = null;
            Scheduler.OnWakeUp(Now);
            Take();
        }
        Now = to;
        AssertNobodyWaitsBeyondADeadline();
    }

    public Caller Arrive(
        double? timeoutMs = null, WhenUnreachable mode = WhenUnreachable.ServeLate, int group = 0, RequestPriority priority = RequestPriority.Normal, bool poison = false,
        int weight = 1, long bytes = 0, string? tenant = null)
    {
        var terms = new RequestTerms(Now + (timeoutMs is { } t ? Ms(t) : Slo), Scheduler.GroupOf(group, null), priority, mode, timeoutMs is not null, weight, bytes, Scheduler.TenantOf(tenant));
        var caller = new Caller(Callers.Count, terms, group, tenant, poison);
        Callers.Add(caller);
        caller.Id = Scheduler.OnArrival(Now, terms);
        // As the engine does: the slot is the caller's before the commands of its arrival are read.
        Assert.False(_bySlot.TryGetValue(caller.Id.Slot, out var other) && other.Ending == Ending.None, "a slot was given away twice");
        _bySlot[caller.Id.Slot] = caller;
        Take();
        return caller;
    }

    public void Cancel(Caller caller)
    {
        var held = Scheduler.OnCancelled(Now, caller.Id);
        Assert.Equal(caller.Ending == Ending.None, held);
        if (held)
        {
            End(caller, Ending.Cancelled);
            Log.Add($"cancelled {caller.Number}");
        }
        Take();
    }

    public void SlotFree(DispatchedBatch batch)
    {
        Scheduler.OnSlotFree(Now, batch);
        Take();
    }

    public int Ready(LatencyProfile? profile = null, int offering = 0, int slots = 1, int maxBatch = int.MaxValue)
    {
        var id = _nextInstance++;
        Instances.Add(id);
        Scheduler.OnInstanceReady(Now, id, offering, maxBatch, slots, profile ?? LatencyProfile.Linear(Ms(5), Ms(1), MaxBatch));
        Take();
        return id;
    }

    public void Drain(int instance)
    {
        _draining.Add(instance);
        Unserving.Add(instance);
        Scheduler.OnInstanceDraining(Now, instance);
        Take();
    }

    public void Busy(int instance, bool busy)
    {
        if (busy)
        {
            Unserving.Add(instance);
        }
        else if (!_draining.Contains(instance))
        {
            Unserving.Remove(instance);
        }
        Scheduler.OnInstanceBusy(Now, instance, busy);
        Take();
    }

    /// <summary>A machine is lost, and the instances on it.</summary>
    public void Lose(int[] instances, int answeredFirst = 0)
    {
        var batches = _running.Where(b => instances.Contains(b.Key.Instance.Id)).ToDictionary();
        foreach (var (batch, callers) in batches)
        {
            Answer(callers, answeredFirst);
            _running.Remove(batch);
        }
        foreach (var instance in instances)
        {
            Instances.Remove(instance);
            Out.Remove(instance);
            Probing.Remove(instance);
        }
        Scheduler.OnInstancesLost(Now, instances, (batch, index) => batches[batch][index].Ending != Ending.None);
        Take();
    }

    /// <summary>Ends a batch: a batch that holds a poisonous request fails as a whole, as a runner without partial failure would.</summary>
    public void Complete(DispatchedBatch batch, int answeredFirst = 0)
    {
        Assert.True(_running.Remove(batch, out var callers));
        if (callers.Any(c => c.IsPoison))
        {
            Answer(callers, answeredFirst);
            WholeBatchesFailed += batch.Reason == BatchReason.Retry ? 0 : 1;
            Scheduler.OnBatchFailed(Now, batch, (_, i) => callers[i].Ending != Ending.None);
        }
        else
        {
            Answer(callers, callers.Length);
            batch.Instance.RunsAhead = RunsAhead;
            Scheduler.OnBatchCompleted(Now, batch, RunsAhead ? Now - batch.RunsSince : null);
            if (batch.Instance.IsOut && Out.TryAdd(batch.Instance.Id, Now))
            {
                Assert.True(2 * Out.Count <= Instances.Count, "more than half are out of rotation for being slow");
                Log.Add($"{Now.TotalMilliseconds:0.###} too slow instance {batch.Instance.Id}");
            }
        }
        Take();
    }

    /// <summary>Ends a batch by a failure of its instance.</summary>
    public void FailInstance(DispatchedBatch batch, int answeredFirst = 0, TimeSpan? busyFor = null)
    {
        Assert.True(_running.Remove(batch, out var callers));
        Answer(callers, answeredFirst);
        Out.TryAdd(batch.Instance.Id, Now);
        Log.Add($"{Now.TotalMilliseconds:0.###} failed instance {batch.Instance.Id}");
        Scheduler.OnBatchFailedByInstance(Now, batch, (_, i) => callers[i].Ending != Ending.None, busyFor);
        Take();
    }

    public void ProbeDone(int instance, bool? ok)
    {
        Assert.True(Probing.Remove(instance));
        if (ok is false)
        {
            Out[instance] = Now;
        }
        else
        {
            Out.Remove(instance);
        }
        if (ok is { } said)
        {
            Scheduler.OnProbeCompleted(Now, instance, said);
        }
        else
        {
            Scheduler.OnProbeImpossible(Now, instance);
        }
        Take();
    }

    public void SpillDone(Caller caller, bool answered)
    {
        Assert.True(Spilled.Remove(caller));
        caller.IsSpilled = false;
        if (answered && caller.Ending == Ending.None)
        {
            End(caller, Ending.Spilled);
        }
        Scheduler.OnSpillCompleted(Now, caller.Id.Slot, answered);
        Take();
    }

    public void Quote(double latencyMs, int concurrency)
    {
        Scheduler.OnQuote(Now, new SpilloverQuote
        {
            Warm = LatencyQuantiles.Constant(Ms(latencyMs)),
            Cold = LatencyQuantiles.Constant(Ms(latencyMs)),
            FreeConcurrency = concurrency,
            ValidFor = TimeSpan.FromDays(1),
        });
        Take();
    }

    public void Expect(double? inMs)
    {
        _isExpected = inMs is not null;
        Scheduler.OnCapacityExpected(Now, inMs is { } ms ? Now + Ms(ms) : TimeSpan.MaxValue);
        Take();
    }

    public void Stop()
    {
        Stopping = true;
        Scheduler.OnStopping(Now);
        Take();
    }

    public void DrainDeadline()
    {
        Scheduler.OnDrainDeadline(Now);
        Take();
    }

    /// <summary>Lets everything under way finish.</summary>
    public void Finish(int steps = 10_000)
    {
        for (var i = 0; i < steps && (_running.Count > 0 || Spilled.Count > 0); i++)
        {
            Advance(1);
            if (_running.Count > 0)
            {
                Complete(Running.OrderBy(b => b.DispatchedAt).ThenBy(b => b.Instance.Id).First());
            }
            if (Spilled.Count > 0)
            {
                SpillDone(Spilled[0], answered: true);
            }
            if (Probing.Count > 0)
            {
                ProbeDone(Probing[0], ok: true);
            }
        }
    }

    private void Answer(Caller[] callers, int count)
    {
        foreach (var caller in callers.Take(count).Where(c => c.Ending == Ending.None && !c.IsPoison))
        {
            End(caller, Ending.Result);
        }
    }

    private void End(Caller caller, Ending ending)
    {
        Assert.Equal(Ending.None, caller.Ending);
        caller.Ending = ending;
        caller.EndedAt = Now;
    }

    private Caller Release(int slot)
    {
        Assert.True(_bySlot.Remove(slot, out var caller), $"slot {slot} names nobody");
        return caller!;
    }

    private void Take()
    {
        var commands = Scheduler.Commands.ToArray();
        Scheduler.ClearCommands();
        foreach (var command in commands)
        {
            switch (command.Kind)
            {
                case SchedulerCommandKind.Dispatch:
                    TakeBatch(command.Batch!);
                    break;
                case SchedulerCommandKind.Spill:
                    var spilled = _bySlot[command.Slot];
                    Assert.Equal(Ending.None, spilled.Ending);
                    Assert.False(spilled.IsSpilled);
                    spilled.IsSpilled = true;
                    Spilled.Add(spilled);
                    Log.Add($"{Now.TotalMilliseconds:0.###} spill {spilled.Number}");
                    break;
                case SchedulerCommandKind.Reject:
                    var rejected = Release(command.Slot);
                    rejected.Reason = command.Reason;
                    rejected.RetryAfter = command.RetryAfter;
                    Assert.NotEqual(RejectionReason.None, command.Reason);
                    Assert.True(command.RetryAfter is null || command.RetryAfter > TimeSpan.Zero, $"retry after {command.RetryAfter}");
                    Assert.True(command.Reason != RejectionReason.QueueFull || command.RetryAfter is not null || !CanServe, "a full queue and no word when to retry");
                    End(rejected, Ending.Rejected);
                    Log.Add($"{Now.TotalMilliseconds:0.###} reject {rejected.Number} {command.Reason}");
                    break;
                case SchedulerCommandKind.Fail:
                    var failed = Release(command.Slot);
                    End(failed, Ending.Failed);
                    Log.Add($"{Now.TotalMilliseconds:0.###} fail {failed.Number}");
                    break;
                case SchedulerCommandKind.WakeAt:
                    Assert.True(command.At > Now, $"asked at {Now} to be woken at {command.At}");
                    WakeAt = command.At;
                    break;
                case SchedulerCommandKind.InstanceDrained:
                    Assert.DoesNotContain(Running, b => b.Instance == command.Instance);
                    Instances.Remove(command.Instance!.Id);
                    Out.Remove(command.Instance!.Id);
                    Probing.Remove(command.Instance!.Id);
                    Log.Add($"{Now.TotalMilliseconds:0.###} drained instance {command.Instance!.Id}");
                    break;
                case SchedulerCommandKind.Probe:
                    var probed = command.Instance!.Id;
                    Assert.Contains(probed, Instances);
                    Assert.DoesNotContain(probed, Probing);
                    Assert.DoesNotContain(Running, b => b.Instance == command.Instance);
                    Assert.InRange(Now, Out[probed] + Ms(50), TimeSpan.MaxValue);
                    Probing.Add(probed);
                    Log.Add($"{Now.TotalMilliseconds:0.###} probe instance {probed}");
                    break;
                case SchedulerCommandKind.Fault:
                    Faults.Add(command.Error!);
                    break;
                case SchedulerCommandKind.Drained:
                    Assert.False(Drained, "said twice");
                    Drained = true;
                    break;
                default:
                    break;
            }
        }
        Assert.True(Scheduler.WaitingCount >= 0 && Scheduler.RequestCount >= Scheduler.WaitingCount);
        Assert.True(Scheduler.KeyCount <= Scheduler.RequestCount);
        Assert.True(Scheduler.WaitingBytes >= 0 && (Scheduler.WaitingCount > 0 || Scheduler.WaitingBytes == 0), $"{Scheduler.WaitingBytes} bytes in {Scheduler.WaitingCount} requests");
        AssertNobodyWaitsBeyondADeadline();
    }

    /// <summary>Whoever wants no late answer is told so by the deadline, unless the request runs or is spilled.</summary>
    private void AssertNobodyWaitsBeyondADeadline()
    {
        foreach (var caller in _bySlot.Values)
        {
            var isStrict = caller.Terms.WhenUnreachable == WhenUnreachable.Reject || (caller.Terms.WhenUnreachable == WhenUnreachable.Spill && caller.Terms.OwnDeadline);
            Assert.True(
                !isStrict || caller.Ending != Ending.None || caller.IsSpilled || caller.Terms.Deadline >= Now || _running.Values.Any(batch => batch.Contains(caller)),
                $"{caller.Number} still waits at {Now}, beyond its deadline at {caller.Terms.Deadline}");
        }
    }

    private void TakeBatch(DispatchedBatch batch)
    {
        var callers = batch.Slots.ToArray().Select(s => _bySlot[s]).ToArray();
        Assert.True(_running.TryAdd(batch, callers), "a batch that runs was dispatched again");
        Assert.InRange(batch.Count, 1, Math.Min(MaxBatch, batch.Instance.MaxBatchSize));
        Assert.True(MaxWeight == SchedulerSettings.NoWeightLimit || callers.Sum(c => (long)c.Terms.Weight) <= MaxWeight, "a batch is too heavy");
        Assert.Contains(batch.Instance.Id, Instances);
        Assert.DoesNotContain(batch.Instance.Id, Out.Keys);
        ExtraRuns += batch.Reason == BatchReason.Retry ? 1 : 0;
        Assert.True(Running.Count(b => b.Instance == batch.Instance && b.SlotFreedAt is null) is var underWay && underWay <= batch.Instance.Slots + (batch.Instance.RunsAhead ? 1 : 0), "more batches than slots");
        Assert.True(underWay <= batch.Instance.Slots || batch.Reason != BatchReason.IdleInstance, "a batch was made up ahead of fewer requests than a full one takes");
        Assert.Equal(callers.Length, callers.Distinct().Count());
        Assert.Single(callers.Select(c => c.Key).Distinct());
        foreach (var caller in callers)
        {
            Assert.Equal(Ending.None, caller.Ending);   // not cancelled, not answered
            Assert.False(caller.IsSpilled);
            caller.Deliveries++;
        }
        Dispatched?.Invoke(batch, callers);
        Log.Add($"{Now.TotalMilliseconds:0.###} dispatch {batch.Instance.Id} [{string.Join(' ', callers.Select(c => c.Number))}] {batch.Reason}");
    }
}
