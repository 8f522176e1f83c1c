using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Simulation;

/// <summary>The world's machines: what they are, when they run, what they cost. Which there are is the fleet controller's to decide, if there is one.</summary>
internal sealed class SimulatedFleet
{
    private readonly SimulationSettings _settings;
    private readonly ModelScheduler _scheduler;
    private readonly IReadOnlyList<SimulatedInstance> _offerings;
    private readonly Dictionary<int, Machine> _byNumber = [];
    private readonly Dictionary<string, Machine> _byId = [];
    private readonly FleetController? _controller;
    private readonly ArrivalCounter? _arrivals;
    private readonly OutcomeCounter? _outcomes;
    private readonly Action<TimeSpan, FleetWorldEvent> _schedule;
    private readonly Random _hazard;
    private int _next;
    private int _serving;

    public SimulatedFleet(SimulationSettings settings, ModelScheduler scheduler, IReadOnlyList<SimulatedInstance> offerings, CostLedger ledger, Action<TimeSpan, FleetWorldEvent> schedule)
    {
        _settings = settings;
        _scheduler = scheduler;
        _offerings = offerings;
        Ledger = ledger;
        _schedule = schedule;
        // Of its own, so that interruptions do not change how long batches take.
        _hazard = new Random(unchecked(settings.Seed * 31 + 17));
        if (settings.Scaling is not { } scaling)
        {
            return;
        }
        _arrivals = new ArrivalCounter(scaling.Options.SampleInterval, settings.Start);
        _outcomes = new OutcomeCounter(scaling.Options.SampleInterval, settings.Slo, settings.Start, TimeSpan.Zero);
        _controller = new FleetController(
            FleetSettings.Of(
                "simulated", scaling.Options, settings.ServiceLevel, settings.Seed, launchIdPrefix: "",
                settings.Spillover is { } spillover ? SpilloverTerms.Within(settings.Slo, (double)spillover.PricePerRequest, spillover.Latency) : null),
            [.. offerings.Select(o => o.Offering)], scaling.CreatePredictor(), scaling.CreatePlanner(), ledger);
    }

    public CostLedger Ledger { get; }

    public int PeakInstances { get; private set; }

    public long Interruptions => _controller?.Tally.Interruptions ?? 0;

    public long Resumptions => _controller?.Tally.Resumptions ?? 0;

    public void Start(TimeSpan now)
    {
        var descriptors = new List<InstanceDescriptor>();
        foreach (var instance in _settings.Fleet)
        {
            var offering = IndexOf(instance.Offering.Name);
            var machine = Add($"start-{_next}", offering, now, InstanceState.Running);
            descriptors.Add(machine.Descriptor);
            if (_controller is null)
            {
                Ledger.OnLaunched(machine.Descriptor.Id, instance.Offering, Utc(now));
                Serve(now, machine);
            }
            else
            {
                ScheduleInterruption(now, machine, again: true);
            }
        }
        if (_controller is null)
        {
            return;
        }
        for (var i = 0; i < _offerings.Count; i++)
        {
            var profile = _offerings[i].Profile;
            _controller.OnCapacity(
                Utc(now), i, profile.CapacityWithin(_settings.Slo, _settings.MaxBatchSize), profile.ServiceWithin(_settings.Slo, _settings.MaxBatchSize));
        }
        _controller.OnListed(Utc(now), Utc(now), descriptors);
        Carry(now);
        _schedule(now + _settings.Scaling!.Options.SampleInterval, new FleetWorldEvent(FleetWorldEventKind.Sense, null));
        Plan(now);
    }

    public void OnArrival(TimeSpan now, TimeSpan deadline)
    {
        _arrivals?.Add(Utc(now), 1);
        _outcomes?.Offer(now, deadline);
    }

    public void OnAnsweredInTime(TimeSpan arrival, TimeSpan deadline) => _outcomes?.Keep(arrival, deadline);

    public void OnEvent(TimeSpan now, in FleetWorldEvent what, bool again)
    {
        switch (what.Kind)
        {
            case FleetWorldEventKind.Sense:
                Sense(now);
                if (again)
                {
                    _schedule(now + _settings.Scaling!.Options.SampleInterval, what);
                }
                break;
            case FleetWorldEventKind.Plan when again:
                Plan(now);
                break;
            case FleetWorldEventKind.Running when _byId[what.InstanceId!] is { Descriptor.State: InstanceState.Pending } machine:
                Change(now, machine, InstanceState.Running);
                ScheduleInterruption(now, machine, again);
                break;
            case FleetWorldEventKind.Interrupting when again && _byId[what.InstanceId!] is { Descriptor.State: InstanceState.Running } machine:
                var notice = _settings.Scaling!.InterruptionNotice;
                machine.Descriptor = machine.Descriptor with { InterruptedAt = Utc(now + notice) };
                Change(now, machine, InstanceState.Interrupting);
                _schedule(now + notice, new FleetWorldEvent(FleetWorldEventKind.Gone, what.InstanceId));
                break;
            case FleetWorldEventKind.Gone when _byId[what.InstanceId!] is { Descriptor.State: InstanceState.Interrupting } machine:
                Change(now, machine, InstanceState.Terminated);
                break;
            case FleetWorldEventKind.WakeUp:
                _controller!.OnWakeUp(Utc(now));
                break;
            default:
                // A machine that was ended before it ran, or a plan after the end.
                break;
        }
        Carry(now);
    }

    public void OnDrained(TimeSpan now, int number)
    {
        _byNumber[number].IsServing = false;
        _serving--;
        _controller!.OnDrained(Utc(now), _byNumber[number].Descriptor.Id);
        Carry(now);
    }

    private void Change(TimeSpan now, Machine machine, InstanceState state)
    {
        machine.Descriptor = machine.Descriptor with { State = state };
        _controller!.OnInstanceChanged(Utc(now), machine.Descriptor);
    }

    /// <summary>The time until a machine's interruption is exponential: however long it has run, the next hour is as likely to bring it.</summary>
    private void ScheduleInterruption(TimeSpan now, Machine machine, bool again)
    {
        var perHour = _offerings[machine.Offering].Offering.InterruptionsPerHour;
        if (perHour > 0 && again)
        {
            var hours = Math.Min(-Math.Log(1 - _hazard.NextDouble()) / perHour, TimeSpan.FromDays(3650).TotalHours);
            _schedule(now + TimeSpan.FromHours(hours), new FleetWorldEvent(FleetWorldEventKind.Interrupting, machine.Descriptor.Id));
        }
    }

    private void Lose(TimeSpan now, Machine machine)
    {
        if (!machine.IsServing)
        {
            return;
        }
        machine.IsServing = false;
        _serving--;
        foreach (var batch in _scheduler.RunningOn(machine.Number))
        {
            batch.Tag = null;
        }
        _scheduler.OnInstancesLost(now, [machine.Number], (_, _) => false);
    }

    /// <summary>The end: every machine is let go.</summary>
    public void Stop(TimeSpan now)
    {
        if (_controller is null)
        {
            foreach (var machine in _byNumber.Values)
            {
                Ledger.OnTerminated(machine.Descriptor.Id, Utc(now));
            }
            return;
        }
        _controller.OnStopping(Utc(now));
        Carry(now);
    }

    public LatencyProfile ProfileOf(int number) => _offerings[_byNumber[number].Offering].Profile;

    private DateTimeOffset Utc(TimeSpan now) => _settings.Start + now;

    private int IndexOf(string name)
    {
        for (var i = 0; i < _offerings.Count; i++)
        {
            if (_offerings[i].Offering.Name == name)
            {
                return i;
            }
        }
        throw new ArgumentException($"The fleet has an instance of offering '{name}'; there are: {string.Join(", ", _offerings.Select(o => o.Offering.Name))}.");
    }

    private Machine Add(string launchId, int offering, TimeSpan now, InstanceState state)
    {
        var machine = new Machine(_next++, offering, new InstanceDescriptor
        {
            Id = $"sim-{_next}",
            LaunchId = launchId,
            OfferingName = _offerings[offering].Offering.Name,
            State = state,
            BilledFrom = Utc(now),
        });
        _byNumber.Add(machine.Number, machine);
        _byId.Add(machine.Descriptor.Id, machine);
        return machine;
    }

    private void Serve(TimeSpan now, Machine machine)
    {
        // The instance's copy learns; the world's own does not change.
        var profile = _offerings[machine.Offering].Profile.Clone();
        machine.IsServing = true;
        _scheduler.OnInstanceReady(now, machine.Number, machine.Offering, profile.MaxBatchSize, 1, profile);
        PeakInstances = Math.Max(PeakInstances, ++_serving);
    }

    private void Sense(TimeSpan now)
    {
        while (_arrivals!.TryTakeFinished(Utc(now), out var sample))
        {
            _controller!.OnSample(Utc(now), sample);
        }
        while (_outcomes!.TryTakeFinished(now, out var outcome))
        {
            _controller!.OnOutcomes(Utc(now), outcome);
        }
    }

    private void Plan(TimeSpan now)
    {
        Sense(now);
        for (var i = 0; i < _offerings.Count; i++)
        {
            if (_scheduler.CapacityOf(i) is var capacity && !double.IsNaN(capacity))
            {
                _controller!.OnCapacity(Utc(now), i, capacity, _scheduler.ServiceOf(i));
            }
        }
        _controller!.OnTick(Utc(now));
        Carry(now);
        _schedule(now + _settings.Scaling!.Options.PlanInterval, new FleetWorldEvent(FleetWorldEventKind.Plan, null));
    }

    /// <summary>Carries the controller's commands out: a world without failures.</summary>
    private void Carry(TimeSpan now)
    {
        while (_controller!.TryTakeCommand(out var command))
        {
            switch (command.Kind)
            {
                case FleetCommandKind.Launch:
                    var machine = Add(command.Launch!.LaunchId, command.Offering, now, InstanceState.Pending);
                    _schedule(now + _offerings[command.Offering].Offering.LaunchDelay, new FleetWorldEvent(FleetWorldEventKind.Running, machine.Descriptor.Id));
                    _controller.OnLaunchAccepted(Utc(now), command.Launch.LaunchId, machine.Descriptor);
                    break;
                case FleetCommandKind.Connect:
                    _controller.OnConnected(Utc(now), command.InstanceId!);
                    Serve(now, _byId[command.InstanceId!]);
                    break;
                case FleetCommandKind.Drain:
                    _scheduler.OnInstanceDraining(now, _byId[command.InstanceId!].Number);
                    break;
                case FleetCommandKind.Lose:
                    Lose(now, _byId[command.InstanceId!]);
                    break;
                case FleetCommandKind.Stop:
                    _byId[command.InstanceId!].Descriptor = _byId[command.InstanceId!].Descriptor with { State = InstanceState.Stopped };
                    _controller.OnStopped(Utc(now), command.InstanceId!);
                    break;
                case FleetCommandKind.Start:
                    _byId[command.InstanceId!].Descriptor = _byId[command.InstanceId!].Descriptor with { State = InstanceState.Pending };
                    _controller.OnStarted(Utc(now), command.InstanceId!);
                    _schedule(now + _offerings[command.Offering].Offering.ResumeDelay, new FleetWorldEvent(FleetWorldEventKind.Running, command.InstanceId));
                    break;
                case FleetCommandKind.Terminate:
                    _byId[command.InstanceId!].Descriptor = _byId[command.InstanceId!].Descriptor with { State = InstanceState.Terminated };
                    _controller.OnTerminated(Utc(now), command.InstanceId!);
                    break;
                case FleetCommandKind.WakeAt:
                    _schedule(command.At - _settings.Start, new FleetWorldEvent(FleetWorldEventKind.WakeUp, null));
                    break;
                case FleetCommandKind.Explain:
                    // There is nobody to read it.
                    break;
                case FleetCommandKind.Prewarm:
                    // In this world spillover is always warm.
                    break;
                case FleetCommandKind.Train:
                    // It takes no time in this world, and what goes wrong is for whoever simulates to know.
                    command.Training!.Run(CancellationToken.None);
                    _controller.OnTrained(Utc(now), command.Training);
                    break;
                case FleetCommandKind.Fault:
                    throw command.Error!;
                default:
                    throw new InvalidOperationException($"In this world there is no {command.Kind}.");
            }
        }
        _scheduler.OnCapacityExpected(now, _controller.NextReadyAt is { } at ? at - _settings.Start : TimeSpan.MaxValue);
    }

    private sealed class Machine(int number, int offering, InstanceDescriptor descriptor)
    {
        /// <summary>The scheduler's name for it.</summary>
        public int Number { get; } = number;

        public int Offering { get; } = offering;

        public InstanceDescriptor Descriptor { get; set; } = descriptor;

        public bool IsServing { get; set; }
    }
}

internal enum FleetWorldEventKind
{
    Sense,
    Plan,
    Running,
    Interrupting,
    Gone,
    WakeUp,
}

internal readonly record struct FleetWorldEvent(FleetWorldEventKind Kind, string? InstanceId);
