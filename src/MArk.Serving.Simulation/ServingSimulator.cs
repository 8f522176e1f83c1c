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
    private readonly Random _random;
    private readonly LatencyHistogram _latencies = new();
    private readonly CostLedger _ledger = new();
    private readonly SimulatedFleet _fleet;
    private readonly Queue<int> _drained = new();
    private Flight[] _flights = new Flight[64];
    private TimeSpan _now;
    private TimeSpan _wakeAt = TimeSpan.MaxValue;
    private bool _isOver;
    private int _spillsUnderWay;
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
        // Instances of one offering share a policy, as in the engine.
        var offerings = settings.Scaling?.Offerings ?? [.. settings.Fleet.DistinctBy(i => i.Offering.Name)];
        _scheduler = new ModelScheduler(new SchedulerSettings
        {
            ModelName = "simulated",
            Slo = settings.Slo,
            MaxBatchSize = settings.MaxBatchSize,
            MaxQueueLength = settings.MaxQueueLength,
            CreatePolicy = offering => settings.CreatePolicy(new BatchPolicySettings(
                "simulated", offerings[offering].Offering.Name, settings.Slo, settings.MaxBatchSize)),
        });
        _fleet = new SimulatedFleet(settings, _scheduler, offerings, _ledger, (due, what) => _events.Schedule(due, new WorldEvent(WorldEventKind.Fleet, null, 0) { Fleet = what }));
    }

    /// <summary>Runs a simulation to its end: until every request has been answered or refused.</summary>
    /// <param name="settings">The world.</param>
    /// <param name="arrivals">When requests arrive, since the start; ascending.</param>
    /// <returns>What it came to.</returns>
    /// <exception cref="ArgumentException">A setting is outside its range, or arrivals go back in time; says which.</exception>
    /// <exception cref="ContractViolationException">The batch policy, the predictor or the planner answered outside its contract.</exception>
    /// <exception cref="NoUsableOfferingException">No offering can keep the objective.</exception>
    public static SimulationResult Run(SimulationSettings settings, IEnumerable<TimeSpan> arrivals)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(arrivals);
        if (settings.Scaling is null ? settings.Fleet.Count == 0 : settings.Scaling.Offerings.Count == 0)
        {
            throw new ArgumentException("A simulated fleet needs at least one instance, and one that scales at least one offering.", nameof(settings));
        }
        if (settings.Scaling is { } scaling)
        {
            if (OfferingRules.Violation([.. scaling.Offerings.Select(o => o.Offering)], scaling.Options.StandbyInstances) is { } violation)
            {
                throw new ArgumentException($"The simulated provider {violation}", nameof(settings));
            }
            if (scaling.InterruptionNotice < TimeSpan.Zero)
            {
                throw new ArgumentException($"InterruptionNotice is {scaling.InterruptionNotice}; accepted: at least 00:00:00.", nameof(settings));
            }
        }
        if (settings.Slo <= TimeSpan.Zero || settings.MaxBatchSize < 1 || settings.MaxQueueLength < 1 || settings.LatencyNoise is not (>= 0 and < 1))
        {
            throw new ArgumentException(FormattableString.Invariant(
                $"Slo is {settings.Slo}, MaxBatchSize {settings.MaxBatchSize}, MaxQueueLength {settings.MaxQueueLength}, LatencyNoise {settings.LatencyNoise}; accepted: more than 0, at least 1, at least 1, 0 to less than 1."), nameof(settings));
        }
        return new ServingSimulator(settings).Run(arrivals);
    }

    private SimulationResult Run(IEnumerable<TimeSpan> arrivals)
    {
        Quote();
        _fleet.Start(_now);
        Carry();
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
        if (!_events.TryPeek(out var due) || due > end || !_events.TryTake(out due, out var what))
        {
            return false;
        }
        _now = due;
        switch (what.Kind)
        {
            case WorldEventKind.WakeUp when due == _wakeAt:
                _wakeAt = TimeSpan.MaxValue;
                _scheduler.OnWakeUp(_now);
                break;
            case WorldEventKind.BatchDone when what.Batch!.Tag != what.Run:
                // Its instance was lost, and what it had runs elsewhere.
                break;
            case WorldEventKind.BatchDone:
                foreach (var slot in what.Batch.Slots)
                {
                    Answer(slot);
                }
                _scheduler.OnBatchCompleted(_now, what.Batch);
                break;
            case WorldEventKind.SpillDone:
                _spillsUnderWay--;
                _spilled++;
                _ledger.OnSpilled(_settings.Spillover!.PricePerRequest);
                Answer(what.Slot);
                Quote();
                _scheduler.OnSpillCompleted(_now, what.Slot, answered: true);
                break;
            case WorldEventKind.Fleet:
                _fleet.OnEvent(_now, what.Fleet, again: !_isOver);
                break;
            default:
                break;
        }
        Carry();
        return true;
    }

    private void Arrive()
    {
        _requests++;
        var deadline = _now + _settings.Slo;
        _fleet.OnArrival(_now, deadline);
        var mode = _settings.Spillover is null ? WhenUnreachable.ServeLate : WhenUnreachable.Spill;
        var id = _scheduler.OnArrival(_now, new RequestTerms(deadline, 0, RequestPriority.Normal, mode, OwnDeadline: false));
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
        foreach (var command in _scheduler.Commands)
        {
            switch (command.Kind)
            {
                case SchedulerCommandKind.Dispatch:
                    _batches++;
                    _batched += command.Batch!.Count;
                    // A batch object is used again: its run tells one use from the next.
                    command.Batch.Tag = new object();
                    _events.Schedule(_now + BatchTime(command.Batch), new WorldEvent(WorldEventKind.BatchDone, command.Batch, 0) { Run = command.Batch.Tag });
                    break;
                case SchedulerCommandKind.Spill:
                    _spillsUnderWay++;
                    _events.Schedule(_now + _settings.Spillover!.Latency, new WorldEvent(WorldEventKind.SpillDone, null, command.Slot));
                    break;
                case SchedulerCommandKind.Reject or SchedulerCommandKind.Fail:
                    _rejected++;
                    break;
                case SchedulerCommandKind.WakeAt:
                    _wakeAt = command.At;
                    _events.Schedule(command.At, new WorldEvent(WorldEventKind.WakeUp, null, 0));
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
        if (_drained.TryDequeue(out var drained))
        {
            _fleet.OnDrained(_now, drained);
            Carry();
        }
    }

    private TimeSpan BatchTime(DispatchedBatch batch)
    {
        var mean = _fleet.ProfileOf(batch.Instance.Id).Mean(batch.Count);
        if (_settings.LatencyNoise == 0)
        {
            return mean;
        }
        // Box-Muller; a batch takes at least a tenth of its mean.
        var normal = Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
        return mean * Math.Max(0.1, 1 + _settings.LatencyNoise * normal);
    }

    private void Answer(int slot)
    {
        var flight = _flights[slot];
        _latencies.Add(_now - flight.Arrival);
        if (_now <= flight.Deadline)
        {
            _inTime++;
            _fleet.OnAnsweredInTime(flight.Arrival, flight.Deadline);
        }
    }

    private void Quote()
    {
        if (_settings.Spillover is { } spillover)
        {
            _scheduler.OnQuote(_now, new SpilloverQuote
            {
                Warm = LatencyQuantiles.Constant(spillover.Latency),
                Cold = LatencyQuantiles.Constant(spillover.Latency),
                FreeConcurrency = spillover.MaxConcurrency - _spillsUnderWay,
                PricePerRequest = spillover.PricePerRequest,
                ValidFor = TimeSpan.MaxValue,
            });
        }
    }

    private SimulationResult Summarize()
    {
        var cost = _ledger.Summary(_settings.Start + _now);
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
            P999 = default,
            LatencyTail = [],
            Offerings = [],
            History = [],
            Duration = _now,
            InstanceCost = cost.InstanceCost,
            SpilloverCost = cost.SpilloverCost,
            PeakInstances = _fleet.PeakInstances,
            Launched = cost.Launched,
            Interruptions = _fleet.Interruptions,
            Resumptions = _fleet.Resumptions,
        };
    }

    private enum WorldEventKind
    {
        WakeUp,
        BatchDone,
        SpillDone,
        Fleet,
    }

    private readonly record struct WorldEvent(WorldEventKind Kind, DispatchedBatch? Batch, int Slot)
    {
        public FleetWorldEvent Fleet { get; init; }

        public object? Run { get; init; }
    }

    private readonly record struct Flight(TimeSpan Arrival, TimeSpan Deadline);
}
