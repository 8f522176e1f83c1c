using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>A world for a fleet controller: a provider's machines, calls under way, and checks of every command.</summary>
internal sealed class FleetWorld
{
    public static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly List<(string Id, InstanceOffering Offering, DateTimeOffset From, DateTimeOffset? Until, bool IsStopped)> _bills = [];
    private readonly HashSet<string> _launchIds = [];
    private readonly HashSet<string> _connected = [];
    private int _next;

    public FleetWorld(FleetSettings settings, IReadOnlyList<InstanceOffering> offerings, IWorkloadPredictor? predictor = null, IProvisioningPlanner? planner = null)
    {
        Settings = settings;
        Offerings = offerings;
        Planner = planner as ScriptedPlanner ?? new ScriptedPlanner(offerings.Count);
        Controller = new FleetController(settings, offerings, predictor ?? new FlatPredictor(), planner ?? Planner, Ledger);
        for (var i = 0; i < offerings.Count; i++)
        {
            Controller.OnCapacity(Now, i, 100);
        }
    }

    public FleetSettings Settings { get; }

    public IReadOnlyList<InstanceOffering> Offerings { get; }

    public ScriptedPlanner Planner { get; }

    public CostLedger Ledger { get; } = new();

    public FleetController Controller { get; }

    public DateTimeOffset Now { get; private set; } = Start;

    public List<LaunchRequest> Launching { get; } = [];

    public Dictionary<string, InstanceDescriptor> Machines { get; } = [];

    public List<string> Connecting { get; } = [];

    public List<string> Serving { get; } = [];

    public List<string> Draining { get; } = [];

    public List<string> Terminating { get; } = [];

    public List<string> Stopping { get; } = [];

    public List<string> Starting { get; } = [];

    public DateTimeOffset? WakeAt { get; private set; }

    public List<PlanExplanation> Explained { get; } = [];

    public List<int> Prewarmed { get; } = [];

    public bool IsListWanted { get; private set; }

    public ITrainingJob? Training { get; private set; }

    public List<ServingException> Faults { get; } = [];

    public List<string> Journal { get; } = [];

    public void Advance(double seconds) => AdvanceTo(Now.AddSeconds(seconds));

    public void AdvanceTo(DateTimeOffset end)
    {
        while (WakeAt <= end)
        {
            Now = WakeAt.Value > Now ? WakeAt.Value : Now;
            WakeAt = null;
            Controller.OnWakeUp(Now);
            Carry();
        }
        Now = end;
    }

    public void Tick(params int[] wanted)
    {
        Planner.Wanted = wanted;
        Controller.OnTick(Now);
        Carry();
    }

    /// <summary>The lease is held for so many seconds; for none, another host holds it.</summary>
    public void Lease(double seconds)
    {
        if (!Controller.IsKeeper)
        {
            // What was handed over may be had again.
            _connected.Clear();
        }
        Controller.OnLease(Now, seconds > 0 ? Now.AddSeconds(seconds) : null);
        Carry();
    }

    public InstanceDescriptor Accept(LaunchRequest launch, bool answer = true)
    {
        Launching.Remove(launch);
        var machine = Add(launch.LaunchId, launch.OfferingName);
        if (answer)
        {
            Controller.OnLaunchAccepted(Now, launch.LaunchId, machine);
            Carry();
        }
        return machine;
    }

    public InstanceDescriptor Add(string launchId, string offering)
    {
        var machine = new InstanceDescriptor { Id = $"i-{++_next}", LaunchId = launchId, OfferingName = offering, BilledFrom = Now };
        Machines.Add(machine.Id, machine);
        _bills.Add((machine.Id, Offerings.First(o => o.Name == offering), Now, null, false));
        return machine;
    }

    public void FailLaunch(LaunchRequest launch, LaunchFailure failure)
    {
        Launching.Remove(launch);
        Controller.OnLaunchFailed(Now, launch.LaunchId, failure);
        Carry();
    }

    /// <summary>A stopped machine of an earlier run.</summary>
    public InstanceDescriptor AddStopped(string launchId, string offering)
    {
        var machine = Add(launchId, offering);
        _bills[^1] = _bills[^1] with { IsStopped = true };
        return Machines[machine.Id] = machine with { State = InstanceState.Stopped };
    }

    public void Change(string id, InstanceState state, DateTimeOffset? interruptedAt = null)
    {
        Machines[id] = Machines[id] with { State = state, InterruptedAt = interruptedAt };
        if (state is InstanceState.Running or InstanceState.Stopped)
        {
            Bill(id, state == InstanceState.Stopped);
        }
        Controller.OnInstanceChanged(Now, Machines[id]);
        Carry();
    }

    /// <summary>A call that stops a machine has ended.</summary>
    public void Stopped(string id, bool well = true)
    {
        Stopping.Remove(id);
        if (well)
        {
            _connected.Remove(id);
            Machines[id] = Machines[id] with { State = InstanceState.Stopped };
            Bill(id, isStopped: true);
            Controller.OnStopped(Now, id);
        }
        else
        {
            Controller.OnStopFailed(Now, id);
        }
        Carry();
    }

    /// <summary>A call that starts a machine has ended; it does not run yet.</summary>
    public void Started(string id, LaunchFailure? failure = null)
    {
        Starting.Remove(id);
        if (failure is { } why)
        {
            Controller.OnStartFailed(Now, id, why);
        }
        else
        {
            Machines[id] = Machines[id].State == InstanceState.Stopped ? Machines[id] with { State = InstanceState.Pending } : Machines[id];
            Bill(id, isStopped: false);
            Controller.OnStarted(Now, id);
        }
        Carry();
    }

    /// <summary>A stopped machine that is being started, until it serves.</summary>
    public void Resume(string id)
    {
        Started(id);
        Change(id, InstanceState.Running);
        Connected(id);
    }

    /// <summary>A machine that serves and is to be stopped, until it is.</summary>
    public void StandDown(string id)
    {
        Drained(id);
        Stopped(id);
    }

    public void Vanish(string id)
    {
        var gone = Machines[id] with { State = InstanceState.Terminated };
        End(id);
        Connecting.Remove(id);
        Controller.OnInstanceChanged(Now, gone);
        Carry();
    }

    public void Connected(string id, bool well = true)
    {
        Connecting.Remove(id);
        if (well)
        {
            Serving.Add(id);
            Controller.OnConnected(Now, id);
        }
        else
        {
            Controller.OnConnectFailed(Now, id);
        }
        Carry();
    }

    public void Drained(string id)
    {
        Draining.Remove(id);
        _connected.Remove(id);
        Controller.OnDrained(Now, id);
        Carry();
    }

    public void Terminated(string id, bool well = true)
    {
        Terminating.Remove(id);
        if (well)
        {
            End(id);
            Controller.OnTerminated(Now, id);
        }
        else
        {
            Controller.OnTerminateFailed(Now, id);
        }
        Carry();
    }

    public void List(DateTimeOffset? asOf = null)
    {
        IsListWanted = false;
        Controller.OnListed(Now, asOf ?? Now, [.. Machines.Values]);
        Carry();
    }

    /// <summary>A slot of five seconds has passed, and is decided.</summary>
    public void Slot(long offered, long inTime)
    {
        Advance(5);
        Controller.OnOutcomes(Now, new OutcomeSample(Now.AddSeconds(-5), TimeSpan.FromSeconds(5), offered, inTime));
        Carry();
    }

    public void Arrive(long count, double burstiness = 0)
    {
        Controller.OnSample(Now, new ArrivalSample(Now.AddSeconds(-5), TimeSpan.FromSeconds(5), count) { Burstiness = burstiness });
        Carry();
    }

    /// <summary>The training that is under way has ended.</summary>
    public void Trained(Exception? error = null, bool well = true)
    {
        var job = Training!;
        Training = null;
        if (well)
        {
            Controller.OnTrained(Now, job);
        }
        else
        {
            Controller.OnTrainingFailed(Now, job, error);
        }
        Carry();
    }

    public void Stop()
    {
        Controller.OnStopping(Now);
        Carry();
    }

    public void StopDeadline()
    {
        Controller.OnStopDeadline(Now);
        Carry();
    }

    /// <summary>A machine from launch to serving.</summary>
    public string Serve()
    {
        var machine = Accept(Launching[0]);
        Change(machine.Id, InstanceState.Running);
        Connected(machine.Id);
        return machine.Id;
    }

    /// <summary>What the machines cost, added up from the world's own book.</summary>
    public decimal Bill() => _bills.Sum(b =>
    {
        var ran = (b.Until ?? Now) - b.From;
        if (b.IsStopped)
        {
            return b.Offering.StoppedPricePerHour * ran.Ticks / TimeSpan.TicksPerHour;
        }
        return b.Offering.PricePerHour * (ran > b.Offering.MinimumBilling ? ran : b.Offering.MinimumBilling).Ticks / TimeSpan.TicksPerHour;
    });

    /// <summary>Whether a machine costs its stopped price.</summary>
    public bool IsBilledStopped(string id) => _bills.FindLast(b => b.Id == id).IsStopped;

    private void End(string id)
    {
        if (!Machines.Remove(id))
        {
            return;
        }
        var index = _bills.FindLastIndex(b => b.Id == id);
        _bills[index] = _bills[index] with { Until = Now };
        Serving.Remove(id);
        Draining.Remove(id);
        Stopping.Remove(id);
        Starting.Remove(id);
    }

    /// <summary>From now on a machine is billed for being stopped, or not.</summary>
    private void Bill(string id, bool isStopped)
    {
        var index = _bills.FindLastIndex(b => b.Id == id);
        var bill = _bills[index];
        if (bill.IsStopped != isStopped)
        {
            _bills[index] = bill with { Until = Now };
            _bills.Add((id, bill.Offering, Now, null, isStopped));
        }
    }

    private void Carry()
    {
        while (Controller.TryTakeCommand(out var command))
        {
            Journal.Add($"{(Now - Start).TotalSeconds:0.###} {command.Kind} {command.Launch?.LaunchId}{command.InstanceId} {command.At:HH:mm:ss.fff}");
            switch (command.Kind)
            {
                case FleetCommandKind.Launch:
                    Assert.True(_launchIds.Add(command.Launch!.LaunchId), $"launch {command.Launch.LaunchId} was asked for twice");
                    Launching.Add(command.Launch);
                    break;
                case FleetCommandKind.Connect:
                    Assert.True(_connected.Add(command.InstanceId!), $"{command.InstanceId} was connected twice");
                    Connecting.Add(command.InstanceId!);
                    break;
                case FleetCommandKind.Drain:
                    Assert.True(Serving.Remove(command.InstanceId!), $"{command.InstanceId} is drained and does not serve");
                    Draining.Add(command.InstanceId!);
                    break;
                case FleetCommandKind.Terminate:
                    Assert.DoesNotContain(command.InstanceId!, Serving);
                    Assert.DoesNotContain(command.InstanceId!, Draining);
                    Assert.DoesNotContain(command.InstanceId!, Connecting);
                    Assert.DoesNotContain(command.InstanceId!, Terminating);
                    Terminating.Add(command.InstanceId!);
                    break;
                case FleetCommandKind.Stop:
                    Assert.DoesNotContain(command.InstanceId!, Serving.Concat(Draining).Concat(Connecting).Concat(Starting).Concat(Stopping).Concat(Terminating));
                    Stopping.Add(command.InstanceId!);
                    break;
                case FleetCommandKind.Start:
                    Assert.DoesNotContain(command.InstanceId!, Serving.Concat(Draining).Concat(Connecting).Concat(Starting).Concat(Stopping).Concat(Terminating));
                    Assert.True(command.At > Now, "a start that is given up at once");
                    Starting.Add(command.InstanceId!);
                    break;
                case FleetCommandKind.Lose:
                    _connected.Remove(command.InstanceId!);
                    Serving.Remove(command.InstanceId!);
                    Draining.Remove(command.InstanceId!);
                    Connecting.Remove(command.InstanceId!);
                    break;
                case FleetCommandKind.Explain:
                    Explained.Add(command.Explanation!);
                    break;
                case FleetCommandKind.Prewarm:
                    Prewarmed.Add(command.Concurrency);
                    break;
                case FleetCommandKind.List:
                    IsListWanted = true;
                    break;
                case FleetCommandKind.WakeAt:
                    Assert.True(command.At >= Now, "a wake-up in the past");
                    WakeAt = command.At;
                    break;
                case FleetCommandKind.Train:
                    Assert.Null(Training);
                    Training = command.Training;
                    break;
                case FleetCommandKind.Fault:
                    Faults.Add(command.Error!);
                    break;
                default:
                    Assert.Fail($"unknown command {command.Kind}");
                    break;
            }
        }
    }
}

internal sealed class FlatPredictor : IWorkloadPredictor
{
    public void Observe(in ArrivalSample sample)
    {
        // The forecast does not depend on it.
    }

    public void Forecast(WorkloadForecast forecast)
    {
        forecast.Mean.Fill(1);
        forecast.Peak.Fill(1);
        for (var level = 0; level < forecast.Levels.Length; level++)
        {
            forecast.Quantile(level).Fill(1);
        }
    }
}

internal sealed class ScriptedPlanner(int offerings) : IProvisioningPlanner
{
    public int[] Wanted { get; set; } = new int[offerings];

    public double Burstiness { get; private set; }

    public void Plan(in ProvisioningContext context, FleetPlan plan)
    {
        Burstiness = context.Burstiness;
        for (var t = 0; t < plan.Horizon; t++)
        {
            Wanted.AsSpan(0, Math.Min(Wanted.Length, plan.Offerings)).CopyTo(plan.Step(t));
        }
    }
}
