using MArk.Serving.Prediction;
using MArk.Serving.Profiling;
using MArk.Serving.Provisioning;
using MArk.Serving.Scheduling;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Simulation;

/// <summary>The world's machines: what they are, when they run, what they cost. Which there are is the fleet controller's to decide, if there is one.</summary>
internal sealed class SimulatedFleet
{
    public const string ModelName = "simulated";

    private static readonly TimeSpan LongestLife = TimeSpan.FromDays(3650);

    private readonly SimulationSettings _settings;
    private readonly ModelScheduler _scheduler;
    private readonly IReadOnlyList<SimulatedInstance> _offerings;
    private readonly SimulationHistory? _history;
    private readonly Action<int> _prewarm;
    private readonly Action<TimeSpan, FleetWorldEvent> _schedule;
    private readonly List<SimulatedMachine> _machines = [];
    private readonly Dictionary<string, SimulatedMachine> _byId = [];
    private readonly FleetController? _controller;
    private readonly ArrivalCounter? _arrivals;
    private readonly OutcomeCounter? _outcomes;
    private readonly FleetWatch? _watch;
    private readonly Random _hazard;
    private TimeSpan _wakeAt = TimeSpan.MaxValue;
    private int _serving;

    public SimulatedFleet(
        SimulationSettings settings, ModelScheduler scheduler, IReadOnlyList<SimulatedInstance> offerings, CostLedger ledger, SimulationHistory? history, Action<int> prewarm,
        Action<TimeSpan, FleetWorldEvent> schedule)
    {
        _settings = settings;
        _scheduler = scheduler;
        _offerings = offerings;
        _history = history;
        _prewarm = prewarm;
        _schedule = schedule;
        Ledger = ledger;
        // Of its own, so that what befalls machines does not change how long batches take.
        _hazard = new Random(unchecked(settings.Seed * 31 + 17));
        if (settings.Scaling is not { } scaling)
        {
            return;
        }
        _arrivals = new ArrivalCounter(scaling.Options.SampleInterval, settings.Start, settings.Slo);
        _outcomes = new OutcomeCounter(scaling.Options.SampleInterval, settings.Slo, settings.Start, TimeSpan.Zero);
        var planner = scaling.CreatePlanner();
        _watch = planner is IFleetObserver observer ? new FleetWatch(observer, settings.Start, scaling.Options.SampleInterval) : null;
        _controller = new FleetController(
            FleetSettings.Of(
                ModelName, scaling.Options, settings.ServiceLevel, settings.Seed, launchIdPrefix: "",
                settings.Spillover is { } spillover ? SpilloverTerms.Within(settings.Slo, (double)spillover.PricePerRequest, spillover.Latency) : null),
            [.. offerings.Select(o => o.Offering)], scaling.CreatePredictor(), planner, ledger);
    }

    /// <summary>What can be launched, as the settings of the fleet have it.</summary>
    /// <exception cref="PriceFileException">The settings name a price file that cannot be read or is no such file.</exception>
    /// <exception cref="OptionsValidationException">The settings name an offering that there is not, or give one up sooner than it can serve.</exception>
    public static SimulatedScaling Configured(SimulatedScaling scaling)
    {
        var offerings = ConfiguredOfferings.Of(ModelName, [.. scaling.Offerings.Select(o => o.Offering)], scaling.Options);
        return scaling with { Offerings = [.. scaling.Offerings.Zip(offerings, (instance, offering) => instance with { Offering = offering })] };
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
            var machine = Add($"start-{_machines.Count}", offering, Utc(now), InstanceState.Running);
            descriptors.Add(machine.Descriptor);
            if (_controller is null)
            {
                Ledger.OnLaunched(machine.Descriptor.Id, instance.Offering, Utc(now));
                Serve(now, machine);
            }
            else
            {
                ScheduleHazards(now, machine, again: true);
            }
        }
        if (_controller is null)
        {
            return;
        }
        foreach (var loss in _settings.Scaling!.SpotLosses)
        {
            _schedule(loss.At, new FleetWorldEvent(FleetWorldEventKind.SpotLoss, null));
        }
        for (var i = 0; i < _offerings.Count; i++)
        {
            _controller.OnCapacity(Utc(now), i, CapacityCurve.Of([(_offerings[i].Profile, _settings.MaxBatchSize)], _settings.Slo));
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
        _watch?.OnArrival(now);
    }

    /// <summary>Requests have been answered by an instance.</summary>
    public void OnCompleted(TimeSpan now, int count) => _watch?.OnCompleted(now, count);

    /// <summary>A request has gone where no instance answers it.</summary>
    public void OnLeft(TimeSpan now) => _watch?.OnLeft(now);

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
            case FleetWorldEventKind.Running when what.Machine is { State: InstanceState.Pending } machine:
                Change(now, machine, InstanceState.Running);
                ScheduleHazards(now, machine, again);
                break;
            case FleetWorldEventKind.Interrupting when again && what.Machine is { State: InstanceState.Running } machine:
                Interrupt(now, machine);
                break;
            case FleetWorldEventKind.SpotLoss when again:
                LoseSpot(now);
                break;
            case FleetWorldEventKind.Crash when again && what.Machine is { State: InstanceState.Running } machine:
                Change(now, machine, InstanceState.Terminated);
                break;
            case FleetWorldEventKind.Gone when what.Machine is { State: InstanceState.Interrupting } machine:
                Change(now, machine, InstanceState.Terminated);
                break;
            case FleetWorldEventKind.WakeUp when now >= _wakeAt:
                _wakeAt = TimeSpan.MaxValue;
                _controller!.OnWakeUp(Utc(now));
                break;
            default:
                // A machine that was ended before it ran, a plan after the end, or a timer that was set anew.
                break;
        }
        Carry(now);
    }

    public void OnDrained(TimeSpan now, int number)
    {
        var machine = _machines[number];
        Unserve(now, machine);
        _controller!.OnDrained(Utc(now), machine.Descriptor.Id);
        Carry(now);
    }

    private void Change(TimeSpan now, SimulatedMachine machine, InstanceState state)
    {
        machine.Descriptor = machine.Descriptor with { State = state };
        _controller!.OnInstanceChanged(Utc(now), machine.Descriptor);
    }

    private void Interrupt(TimeSpan now, SimulatedMachine machine)
    {
        var notice = _settings.Scaling!.InterruptionNotice;
        machine.Descriptor = machine.Descriptor with { InterruptedAt = Utc(now + notice) };
        Change(now, machine, InstanceState.Interrupting);
        _schedule(now + notice, new FleetWorldEvent(FleetWorldEventKind.Gone, machine));
    }

    /// <summary>The provider takes a share of the spot machines away, whichever they are.</summary>
    private void LoseSpot(TimeSpan now)
    {
        var share = _settings.Scaling!.SpotLosses.First(loss => loss.At == now).Share;
        SimulatedMachine[] running = [.. _machines.Where(m => m.State == InstanceState.Running && _offerings[m.Offering].Offering.Market == InstanceMarket.Spot)];
        _hazard.Shuffle(running);
        foreach (var machine in running.AsSpan(0, (int)Math.Floor(running.Length * share + 0.5)))
        {
            Interrupt(now, machine);
        }
    }

    /// <summary>The time until a machine's interruption or crash is exponential: however long it has run, the next hour is as likely to bring it.</summary>
    private void ScheduleHazards(TimeSpan now, SimulatedMachine machine, bool again)
    {
        if (again)
        {
            Schedule(_offerings[machine.Offering].Offering.InterruptionsPerHour, FleetWorldEventKind.Interrupting);
            Schedule(_settings.Scaling!.CrashesPerHour, FleetWorldEventKind.Crash);
        }

        void Schedule(double perHour, FleetWorldEventKind kind)
        {
            if (perHour > 0)
            {
                _schedule(now + TimeSpan.FromHours(Math.Min(Sampling.Exponential(_hazard) / perHour, LongestLife.TotalHours)), new FleetWorldEvent(kind, machine));
            }
        }
    }

    private void Lose(TimeSpan now, SimulatedMachine machine)
    {
        if (!machine.IsServing)
        {
            return;
        }
        Unserve(now, machine);
        foreach (var batch in _scheduler.RunningOn(machine.Number))
        {
            ((BatchRun)batch.Tag!).Batch = null;
        }
        _scheduler.OnInstancesLost(now, [machine.Number], (_, _) => false);
    }

    /// <summary>The end: every machine is let go.</summary>
    public void Stop(TimeSpan now)
    {
        if (_controller is null)
        {
            foreach (var machine in _machines)
            {
                Ledger.OnTerminated(machine.Descriptor.Id, Utc(now));
            }
            return;
        }
        _controller.OnStopping(Utc(now));
        Carry(now);
    }

    public LatencyProfile ProfileOf(int number) => _offerings[_machines[number].Offering].Profile;

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

    private SimulatedMachine Add(string launchId, int offering, DateTimeOffset billedFrom, InstanceState state)
    {
        var machine = new SimulatedMachine(_machines.Count, offering, new InstanceDescriptor
        {
            Id = $"sim-{_machines.Count + 1}",
            LaunchId = launchId,
            OfferingName = _offerings[offering].Offering.Name,
            State = state,
            BilledFrom = billedFrom,
        });
        _machines.Add(machine);
        _byId.Add(machine.Descriptor.Id, machine);
        return machine;
    }

    private void Serve(TimeSpan now, SimulatedMachine machine)
    {
        // The instance's copy learns; the world's own does not change.
        var profile = _offerings[machine.Offering].Profile.Clone();
        machine.IsServing = true;
        _watch?.OnServing(now, 1);
        _history?.OnServing(now, machine.Offering, 1);
        _scheduler.OnInstanceReady(now, machine.Number, machine.Offering, profile.MaxBatchSize, 1, profile);
        PeakInstances = Math.Max(PeakInstances, ++_serving);
    }

    private void Unserve(TimeSpan now, SimulatedMachine machine)
    {
        machine.IsServing = false;
        _serving--;
        _watch?.OnServing(now, -1);
        _history?.OnServing(now, machine.Offering, -1);
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
        _watch?.Tell(now);
    }

    private void Plan(TimeSpan now)
    {
        Sense(now);
        for (var i = 0; i < _offerings.Count; i++)
        {
            if (_scheduler.CapacityOf(i) is { IsMeasured: true } capacity)
            {
                _controller!.OnCapacity(Utc(now), i, capacity);
            }
        }
        _controller!.OnTick(Utc(now));
        _history?.OnForecast(now, _controller.Forecast);
        Carry(now);
        _schedule(now + _settings.Scaling!.Options.PlanInterval, new FleetWorldEvent(FleetWorldEventKind.Plan, null));
    }

    /// <summary>Carries the controller's commands out: every call succeeds.</summary>
    private void Carry(TimeSpan now)
    {
        while (_controller!.TryTakeCommand(out var command))
        {
            switch (command.Kind)
            {
                case FleetCommandKind.Launch:
                    Launch(now, command);
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
                    _byId[command.InstanceId!].State = InstanceState.Stopped;
                    _controller.OnStopped(Utc(now), command.InstanceId!);
                    break;
                case FleetCommandKind.Start:
                    var started = _byId[command.InstanceId!];
                    started.State = InstanceState.Pending;
                    _controller.OnStarted(Utc(now), command.InstanceId!);
                    _schedule(now + _offerings[command.Offering].Offering.ResumeDelay, new FleetWorldEvent(FleetWorldEventKind.Running, started));
                    break;
                case FleetCommandKind.Terminate:
                    _byId[command.InstanceId!].State = InstanceState.Terminated;
                    _controller.OnTerminated(Utc(now), command.InstanceId!);
                    break;
                case FleetCommandKind.WakeAt:
                    _wakeAt = command.At - _settings.Start;
                    _schedule(_wakeAt, new FleetWorldEvent(FleetWorldEventKind.WakeUp, null));
                    break;
                case FleetCommandKind.Prewarm:
                    _prewarm(command.Concurrency);
                    break;
                case FleetCommandKind.Explain:
                    // There is nobody to read it.
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

    private void Launch(TimeSpan now, in FleetCommand command)
    {
        var instance = _offerings[command.Offering];
        // The part that is not billed is the provider's; what varies is as likely in the one as in the other.
        var factor = Sampling.LogNormal(_hazard, instance.LaunchDelayNoise);
        var machine = Add(command.Launch!.LaunchId, command.Offering, Utc(now + instance.UnbilledLaunch * factor), InstanceState.Pending);
        _schedule(now + instance.Offering.LaunchDelay * factor, new FleetWorldEvent(FleetWorldEventKind.Running, machine));
        _controller!.OnLaunchAccepted(Utc(now), command.Launch.LaunchId, machine.Descriptor);
    }
}

internal sealed class SimulatedMachine(int number, int offering, InstanceDescriptor descriptor)
{
    /// <summary>The scheduler's name for it.</summary>
    public int Number { get; } = number;

    public int Offering { get; } = offering;

    public InstanceDescriptor Descriptor { get; set; } = descriptor;

    public InstanceState State
    {
        get => Descriptor.State;
        set => Descriptor = Descriptor with { State = value };
    }

    public bool IsServing { get; set; }
}

internal enum FleetWorldEventKind
{
    Sense,
    Plan,
    Running,
    Interrupting,
    Gone,
    SpotLoss,
    Crash,
    WakeUp,
}

internal readonly record struct FleetWorldEvent(FleetWorldEventKind Kind, SimulatedMachine? Machine);
