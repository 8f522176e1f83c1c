using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>What became of the provider call at which the process died.</summary>
public enum CrashEffect
{
    /// <summary>It never reached the provider.</summary>
    None,

    /// <summary>It took effect, and its answer was lost.</summary>
    Done,

    /// <summary>It takes effect after the process is back.</summary>
    DoneLate,
}

/// <summary>
/// A provider in virtual time whose delays, failures and losses are scripted, and a process about a fleet controller that dies at given provider
/// calls and is started again. The process does what the fleet's operator does: events in, commands out, provider calls beside it.
/// </summary>
internal sealed class CrashWorld
{
    public static readonly DateTimeOffset Start = FleetWorld.Start;

    private static readonly TimeSpan Restart = TimeSpan.FromSeconds(15);

    private readonly PriorityQueue<Action, (DateTimeOffset Due, int Sequence)> _events = new();
    private readonly IReadOnlyDictionary<int, CrashEffect> _crashes;
    private readonly FleetSettings _settings;
    private readonly Func<DateTimeOffset, int[]> _wanted;
    private readonly Dictionary<string, InstanceDescriptor> _machines = [];
    private readonly Dictionary<string, string> _launches = [];     // the offering of each launch that was ever asked for
    private readonly ScriptedPlanner _planner;
    private FleetController? _controller;
    private DateTimeOffset _wakeAt;
    private int _life;              // which process this is
    private int _sequence;
    private int _nextMachine;

    public CrashWorld(FleetSettings settings, InstanceOffering[] offerings, Func<DateTimeOffset, int[]> wanted, IReadOnlyDictionary<int, CrashEffect> crashes)
    {
        _settings = settings;
        _wanted = wanted;
        _crashes = crashes;
        Offerings = offerings;
        _planner = new ScriptedPlanner(offerings.Length);
        Begin();
    }

    public InstanceOffering[] Offerings { get; }

    public DateTimeOffset Now { get; private set; } = Start;

    /// <summary>Calls of the provider so far, by all processes.</summary>
    public int Calls { get; private set; }

    public FleetController Controller => _controller!;

    public IReadOnlyCollection<InstanceDescriptor> Machines => _machines.Values;

    /// <summary>From when on the process lives.</summary>
    public DateTimeOffset CalmFrom { get; set; } = DateTimeOffset.MaxValue;

    public int MostMachines { get; private set; }

    /// <summary>Machines that were stopped so far.</summary>
    public int Stops { get; private set; }

    /// <summary>Machines that were started again so far.</summary>
    public int Starts { get; private set; }

    public Func<InstanceDescriptor, bool> IsStuck { get; init; } = _ => false;

    public Func<LaunchRequest, LaunchFailure?> Fails { get; init; } = _ => null;

    /// <summary>The launch takes effect, and its call ends without saying so.</summary>
    public Func<InstanceDescriptor, bool> IsUnanswered { get; init; } = _ => false;

    public void At(double seconds, Action what) => Schedule(Start.AddSeconds(seconds) - Now, what);

    public void RunUntil(double seconds)
    {
        var end = Start.AddSeconds(seconds);
        while (_events.TryPeek(out _, out var key) && key.Due <= end)
        {
            Now = key.Due;
            _events.Dequeue()();
            MostMachines = Math.Max(MostMachines, _machines.Count);
        }
        Now = end;
    }

    public void Change(string id, InstanceState state, double? interruptedIn = null)
    {
        if (!_machines.TryGetValue(id, out var machine))
        {
            return;
        }
        machine = machine with { State = state, InterruptedAt = interruptedIn is { } seconds ? Now.AddSeconds(seconds) : null };
        if (state == InstanceState.Terminated)
        {
            _machines.Remove(id);
        }
        else
        {
            _machines[id] = machine;
        }
        // The watch.
        Tell(0.1, controller => controller.OnInstanceChanged(Now, machine));
    }

    public void Stop() => Tell(0, controller => controller.OnStopping(Now));

    private void Begin()
    {
        _controller = new FleetController(
            _settings with { LaunchIdPrefix = FormattableString.Invariant($"{Now.Ticks:x}-") }, Offerings, new FlatPredictor(), _planner, new CostLedger());
        for (var i = 0; i < Offerings.Length; i++)
        {
            _controller.OnCapacity(Now, i, 100);
        }
        List(then: Tick);
    }

    private void Tick()
    {
        _planner.Wanted = _wanted(Now);
        Tell(0, controller => controller.OnTick(Now));
        Later(60, () =>
        {
            Tick();
            List();
        });
    }

    private void List(Action? then = null)
    {
        var asked = Now;
        Call(() => _machines.Values.ToArray(), listed =>
        {
            Tell(0, controller => controller.OnListed(Now, asked, listed));
            then?.Invoke();
        });
    }

    private void Carry()
    {
        while (_controller is not null && _controller.TryTakeCommand(out var command))
        {
            var id = command.InstanceId!;
            switch (command.Kind)
            {
                case FleetCommandKind.Launch:
                    Launch(command.Launch!);
                    break;
                case FleetCommandKind.Connect:
                    Tell(5, controller => controller.OnConnected(Now, id));
                    break;
                case FleetCommandKind.Drain:
                    Tell(10, controller => controller.OnDrained(Now, id));
                    break;
                case FleetCommandKind.Terminate:
                    Call(() => _machines.Remove(id), _ => Tell(0, controller => controller.OnTerminated(Now, id)));
                    break;
                case FleetCommandKind.Stop:
                    Call(() => StopMachine(id), well => Tell(0, controller => Answer(well, () => controller.OnStopped(Now, id), () => controller.OnStopFailed(Now, id))));
                    break;
                case FleetCommandKind.Start:
                    Call(() => StartMachine(id), well => Tell(0, controller => Answer(well, () => controller.OnStarted(Now, id), () => controller.OnStartFailed(Now, id, LaunchFailure.Unknown))));
                    break;
                case FleetCommandKind.List:
                    List();
                    break;
                case FleetCommandKind.WakeAt:
                    _wakeAt = command.At;
                    Later((command.At - Now).TotalSeconds, () =>
                    {
                        if (_wakeAt <= Now)
                        {
                            Tell(0, controller => controller.OnWakeUp(Now));
                        }
                    });
                    break;
                case FleetCommandKind.Fault:
                    throw command.Error!;
                default:
                    break;
            }
        }
    }

    private void Launch(LaunchRequest request)
    {
        Assert.True(_launches.TryAdd(request.LaunchId, request.OfferingName), $"launch {request.LaunchId} was asked for twice");
        Call(() => Make(request), made =>
        {
            var (machine, failure) = made;
            Tell(0, controller =>
            {
                if (failure is null && !IsUnanswered(machine!))
                {
                    controller.OnLaunchAccepted(Now, request.LaunchId, machine!);
                }
                else
                {
                    controller.OnLaunchFailed(Now, request.LaunchId, failure ?? LaunchFailure.Unknown);
                }
            });
        });
    }

    private (InstanceDescriptor? Machine, LaunchFailure? Failure) Make(LaunchRequest request)
    {
        if (Fails(request) is { } failure)
        {
            return (null, failure);
        }
        var machine = new InstanceDescriptor { Id = $"i-{++_nextMachine}", LaunchId = request.LaunchId, OfferingName = request.OfferingName, BilledFrom = Now };
        _machines.Add(machine.Id, machine);
        if (!IsStuck(machine))
        {
            Schedule(Offerings.First(o => o.Name == request.OfferingName).LaunchDelay, () => Change(machine.Id, InstanceState.Running));
        }
        return (machine, null);
    }

    private bool StopMachine(string id)
    {
        if (_machines.TryGetValue(id, out var machine) && machine.State != InstanceState.Stopped)
        {
            Stops++;
            Change(id, InstanceState.Stopped);
        }
        return machine is not null;
    }

    private bool StartMachine(string id)
    {
        if (_machines.TryGetValue(id, out var machine) && machine.State == InstanceState.Stopped)
        {
            Starts++;
            Change(id, InstanceState.Pending);
            Schedule(Offerings.First(o => o.Name == machine.OfferingName).ResumeDelay, () =>
            {
                if (_machines.TryGetValue(id, out var started) && started.State == InstanceState.Pending)
                {
                    Change(id, InstanceState.Running);
                }
            });
        }
        return machine is not null;
    }

    private static void Answer(bool well, Action done, Action failed) => (well ? done : failed)();

    /// <summary>A call takes effect half a second after it is made, and is answered half a second later.</summary>
    private void Call<T>(Func<T> effect, Action<T> answer)
    {
        Calls++;
        if (Now >= CalmFrom || !_crashes.TryGetValue(Calls, out var crash))
        {
            var life = _life;
            Schedule(TimeSpan.FromSeconds(0.5), () =>
            {
                var result = effect();
                Schedule(TimeSpan.FromSeconds(0.5), () =>
                {
                    if (life == _life)
                    {
                        answer(result);
                    }
                });
            });
            return;
        }
        if (crash != CrashEffect.None)
        {
            Schedule(crash == CrashEffect.Done ? TimeSpan.Zero : 2 * Restart, () => effect());
        }
        _life++;
        _controller = null;
        Schedule(Restart, Begin);
    }

    /// <summary>An event of this process: one that dies before does not see it.</summary>
    private void Tell(double seconds, Action<FleetController> what) => Later(seconds, () =>
    {
        what(_controller!);
        Carry();
    });

    private void Later(double seconds, Action what)
    {
        var life = _life;
        Schedule(TimeSpan.FromSeconds(seconds), () =>
        {
            if (life == _life && _controller is not null)
            {
                what();
            }
        });
    }

    private void Schedule(TimeSpan delay, Action what) => _events.Enqueue(what, (Now + delay, _sequence++));
}
