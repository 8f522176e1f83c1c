using MArk.Serving.Diagnostics;
using MArk.Serving.Provisioning;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Simulation;

/// <summary>
/// Replays arrivals in virtual time on the very scheduler and fleet controller that the live engine runs. It models only the world: how long a
/// batch and a launch take, what spillover takes and costs, what instances cost. Every decision is theirs.
/// </summary>
public sealed class ServingSimulator
{
    private readonly SimulationSettings _settings;
    private readonly EventQueue<WorldEvent> _events = new();
    private readonly ModelScheduler _scheduler;
    private readonly WhenUnreachable _whenUnreachable;
    private readonly Random _random;
    private readonly LatencyHistogram _latencies = new();
    private readonly CostLedger _ledger = new();
    private readonly IReadOnlyList<SimulatedInstance> _offerings;
    private readonly SimulatedFleet _fleet;
    private readonly EnvironmentPool? _environments;
    private readonly SimulationHistory? _history;
    private readonly Queue<int> _drained = new();
    private readonly Stack<BatchRun> _spareRuns = new();
    private Flight[] _flights = new Flight[64];
    private TimeSpan _now;
    private TimeSpan _wakeAt = TimeSpan.MaxValue;
    private TimeSpan _quotedUntil = TimeSpan.MaxValue;      // when the first environment that the last quote told of is given up
    private bool _isOver;
    private long _requests;
    private long _inTime;
    private long _rejected;
    private long _spilled;
    private long _batches;
    private long _batched;

    private ServingSimulator(SimulationSettings settings)
    {
        _settings = settings;
        _random = new Random(settings.Seed);
        _whenUnreachable = settings.WhenUnreachable ?? RequestTerms.Otherwise(canSpill: settings.Spillover is not null, ownDeadline: false);
        // Instances of one offering share a policy, as in the engine.
        _offerings = settings.Scaling?.Offerings ?? [.. settings.Fleet.DistinctBy(i => i.Offering.Name)];
        _scheduler = new ModelScheduler(new SchedulerSettings
        {
            ModelName = SimulatedFleet.ModelName,
            Slo = settings.Slo,
            MaxBatchSize = settings.MaxBatchSize,
            MaxQueueLength = settings.MaxQueueLength,
            CreatePolicy = offering => settings.CreatePolicy(new BatchPolicySettings(
                SimulatedFleet.ModelName, _offerings[offering].Offering.Name, settings.Slo, settings.MaxBatchSize)),
        });
        _environments = settings.Spillover is { } spillover ? new EnvironmentPool(spillover) : null;
        _history = settings.HistoryStep is { } step
            ? new SimulationHistory(step, [.. _offerings.Select(o => o.Profile.CapacityWithin(settings.Slo, settings.MaxBatchSize))])
            : null;
        _fleet = new SimulatedFleet(settings, _scheduler, _offerings, _ledger, _history, Prewarm, (due, what) => _events.Schedule(due, new WorldEvent(WorldEventKind.Fleet, what.Machine, (int)what.Kind)));
    }

    /// <summary>Runs a simulation to its end: until every request has been answered or refused.</summary>
    /// <param name="settings">The world.</param>
    /// <param name="arrivals">When requests arrive, since the start; ascending.</param>
    /// <returns>What it came to.</returns>
    /// <exception cref="ArgumentException">A setting is outside its range, or arrivals go back in time; says which.</exception>
    /// <exception cref="ContractViolationException">The batch policy, the predictor or the planner answered outside its contract.</exception>
    /// <exception cref="NoUsableOfferingException">No offering can keep the objective.</exception>
    /// <exception cref="PriceFileException">The fleet's options name a price file that cannot be read or is no such file.</exception>
    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">The fleet's options name an offering that there is not, or give one up sooner than it can serve.</exception>
    public static SimulationResult Run(SimulationSettings settings, IEnumerable<TimeSpan> arrivals)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(arrivals);
        if (settings.Scaling is { } scaling)
        {
            settings = settings with { Scaling = SimulatedFleet.Configured(scaling) };
        }
        SimulationSettingsValidator.Check(settings);
        return new ServingSimulator(settings).Run(arrivals);
    }

    private SimulationResult Run(IEnumerable<TimeSpan> arrivals)
    {
        Quote();
        _fleet.Start(_now);
        Carry();
        ScheduleStepEnd();
        var last = TimeSpan.Zero;
        foreach (var arrival in arrivals)
        {
            if (arrival < last)
            {
                throw new ArgumentException($"Arrivals must ascend; {arrival} comes after {last}.", nameof(arrivals));
            }
            last = arrival;
            PlayUntil(arrival);
            _now = arrival;
            Arrive();
        }
        PlayUntil(_settings.Duration > last ? _settings.Duration : last);
        _now = _settings.Duration > _now ? _settings.Duration : _now;
        _isOver = true;
        while (_scheduler.RequestCount > 0 && PlayNext(TimeSpan.MaxValue))
        {
            // What was accepted ends.
        }
        _scheduler.OnDrainDeadline(_now);
        Carry();
        _fleet.Stop(_now);
        Carry();
        return Summarize();
    }

    private void PlayUntil(TimeSpan end)
    {
        while (PlayNext(end))
        {
            // One event after the other.
        }
    }

    private bool PlayNext(TimeSpan end)
    {
        var due = _events.NextDue;
        // The scheduler's timer has one instant, the last that it asked for; where something else is due then, that happens first.
        var isWakeUp = _wakeAt < due;
        due = isWakeUp ? _wakeAt : due;
        if (due > end || due == TimeSpan.MaxValue)
        {
            return false;
        }
        _now = due > _now ? due : _now;
        if (isWakeUp)
        {
            _wakeAt = TimeSpan.MaxValue;
            _scheduler.OnWakeUp(_now);
        }
        else
        {
            Play(_events.Take());
        }
        Carry();
        return true;
    }

    private void Play(in WorldEvent what)
    {
        switch (what.Kind)
        {
            case WorldEventKind.BatchDone:
                EndBatch((BatchRun)what.Subject!);
                break;
            case WorldEventKind.SpillDone:
                _environments!.End(_now);
                _spilled++;
                _ledger.OnSpilled(_settings.Spillover!.PricePerRequest);
                _history?.OnSpilled();
                Answer(what.Number);
                Quote();
                _scheduler.OnSpillCompleted(_now, what.Number, answered: true);
                break;
            case WorldEventKind.WarmUpDone:
                _environments!.End(_now);
                Quote();
                break;
            case WorldEventKind.Fleet:
                _fleet.OnEvent(_now, new FleetWorldEvent((FleetWorldEventKind)what.Number, (SimulatedMachine?)what.Subject), again: !_isOver);
                break;
            case WorldEventKind.StepEnd when !_isOver:
                _history!.EndStep(_now, _ledger.Summary(_settings.Start + _now));
                ScheduleStepEnd();
                break;
            default:
                break;
        }
    }

    private void ScheduleStepEnd()
    {
        if (_history is not null)
        {
            _events.Schedule(_history.StepEnds, new WorldEvent(WorldEventKind.StepEnd, null, 0));
        }
    }

    private void Arrive()
    {
        _requests++;
        var deadline = _now + _settings.Slo;
        _history?.OnArrival();
        _fleet.OnArrival(_now, deadline);
        if (_now >= _quotedUntil)
        {
            Quote();
        }
        var id = _scheduler.OnArrival(_now, new RequestTerms(deadline, 0, RequestPriority.Normal, _whenUnreachable, OwnDeadline: false));
        if (id.Slot >= _flights.Length)
        {
            Array.Resize(ref _flights, Math.Max(id.Slot + 1, _flights.Length * 2));
        }
        _flights[id.Slot] = new Flight(_now, deadline);
        Carry();
    }

    /// <summary>Carries the scheduler's commands out: each becomes an event to come.</summary>
    private void Carry()
    {
        var spilled = false;
        foreach (ref readonly var command in _scheduler.Commands)
        {
            switch (command.Kind)
            {
                case SchedulerCommandKind.Dispatch:
                    BeginBatch(command.Batch!);
                    break;
                case SchedulerCommandKind.Spill:
                    _fleet.OnLeft(_now);
                    _events.Schedule(_now + _environments!.Begin(_now), new WorldEvent(WorldEventKind.SpillDone, null, command.Slot));
                    spilled = true;
                    break;
                case SchedulerCommandKind.Reject or SchedulerCommandKind.Fail:
                    _fleet.OnLeft(_now);
                    _rejected++;
                    break;
                case SchedulerCommandKind.WakeAt:
                    _wakeAt = command.At;
                    break;
                case SchedulerCommandKind.Fault:
                    throw command.Error!;
                case SchedulerCommandKind.InstanceDrained:
                    _drained.Enqueue(command.Instance!.Id);
                    break;
                default:
                    break;
            }
        }
        _scheduler.ClearCommands();
        if (spilled)
        {
            Quote();
        }
        if (_drained.TryDequeue(out var drained))
        {
            _fleet.OnDrained(_now, drained);
            Carry();
        }
    }

    private void BeginBatch(DispatchedBatch batch)
    {
        _batches++;
        _batched += batch.Count;
        var run = _spareRuns.TryPop(out var spare) ? spare : new BatchRun();
        run.Batch = batch;
        batch.Tag = run;
        _events.Schedule(_now + BatchTime(batch), new WorldEvent(WorldEventKind.BatchDone, run, 0));
    }

    private void EndBatch(BatchRun run)
    {
        var batch = run.Batch;
        run.Batch = null;
        _spareRuns.Push(run);
        if (batch is null)
        {
            // Its instance was lost, and what it had runs elsewhere.
            return;
        }
        _fleet.OnCompleted(_now, batch.Count);
        foreach (var slot in batch.Slots)
        {
            Answer(slot);
        }
        _scheduler.OnBatchCompleted(_now, batch);
    }

    private TimeSpan BatchTime(DispatchedBatch batch)
    {
        var mean = _fleet.ProfileOf(batch.Instance.Id).Mean(batch.Count);
        // A batch takes at least a tenth of its mean.
        return _settings.LatencyNoise == 0 ? mean : mean * Math.Max(0.1, 1 + _settings.LatencyNoise * Sampling.Normal(_random));
    }

    private void Answer(int slot)
    {
        var flight = _flights[slot];
        _latencies.Add(_now - flight.Arrival);
        if (_now <= flight.Deadline)
        {
            _inTime++;
            _history?.OnAnsweredInTime(flight.Arrival);
            _fleet.OnAnsweredInTime(flight.Arrival, flight.Deadline);
        }
    }

    private void Quote()
    {
        if (_environments is not null)
        {
            _scheduler.OnQuote(_now, _environments.Quote(_now));
            _quotedUntil = _environments.NextExpiry;
        }
    }

    /// <summary>Has environments start, by requests that nobody waits for, until as many are warm and free.</summary>
    private void Prewarm(int concurrency)
    {
        if (_environments is null)
        {
            return;
        }
        for (var lacking = _environments.Lacking(_now, concurrency); lacking > 0; lacking--)
        {
            _ledger.OnSpilled(_settings.Spillover!.PricePerRequest);
            _events.Schedule(_now + _environments.Begin(_now), new WorldEvent(WorldEventKind.WarmUpDone, null, 0));
        }
        Quote();
    }

    private SimulationResult Summarize()
    {
        var cost = _ledger.Summary(_settings.Start + _now);
        if (_history is not null && _now > _history.StepEnds - _settings.HistoryStep!.Value)
        {
            _history.EndStep(_now, cost);
        }
        return new SimulationResult
        {
            Requests = _requests,
            InTime = _inTime,
            Rejected = _rejected,
            Spilled = _spilled,
            Batches = _batches,
            MeanBatch = _batches == 0 ? 0 : (double)_batched / _batches,
            P50 = _latencies.Quantile(0.5),
            P99 = _latencies.Quantile(0.99),
            P999 = _latencies.Quantile(0.999),
            LatencyTail = [.. _latencies.Tail().Select(point => new LatencyTailPoint(point.Latency, point.ShareAbove))],
            Offerings = [.. _offerings.Select(o => o.Offering.Name)],
            History = _history?.Read() ?? [],
            Duration = _now,
            InstanceCost = cost.InstanceCost,
            SpilloverCost = cost.SpilloverCost,
            ColdStarts = _environments?.ColdStarts ?? 0,
            PeakInstances = _fleet.PeakInstances,
            Launched = cost.Launched,
            Interruptions = _fleet.Interruptions,
            Resumptions = _fleet.Resumptions,
        };
    }

    private enum WorldEventKind
    {
        BatchDone,
        SpillDone,
        WarmUpDone,
        Fleet,
        StepEnd,
    }

    private readonly record struct WorldEvent(WorldEventKind Kind, object? Subject, int Number);

    private readonly record struct Flight(TimeSpan Arrival, TimeSpan Deadline);
}

/// <summary>A batch that runs. The scheduler uses its object of a batch again, before the event comes that ends a run whose instance was lost.</summary>
internal sealed class BatchRun
{
    /// <summary>The batch; nothing once its instance is lost.</summary>
    public DispatchedBatch? Batch { get; set; }
}
