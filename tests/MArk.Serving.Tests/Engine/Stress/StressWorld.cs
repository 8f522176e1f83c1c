using System.Collections.Concurrent;
using System.Text;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>
/// A host with one model, whose callers, runners, machines and spillover target do what a seed says, and the check that nothing was lost. A seed fixes what
/// is tried, not how the threads take turns, so a failure may need more than one run to come again.
/// </summary>
internal sealed class StressWorld
{
    private const string Model = "stressed";
    private static readonly TimeSpan SpillPatience = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, StressMachine> _machines = new();
    private readonly ConcurrentQueue<Task> _background = new();
    private readonly ServingHost.Journal _log = new();
    private readonly ScriptedProvider _provider = new();
    private readonly ScalablePlanner _planner = new();
    private readonly ConcurrentQueue<StressRunner> _runners = new();
    private readonly StressSpillover _spillover;
    private readonly (int Weight, Action<Random> Happens)[] _events;
    private IHost _host = null!;
    private int _connected;
    private Task _stop = Task.CompletedTask;

    public StressWorld(StressSettings settings)
    {
        Settings = settings;
        Ledger = new RequestLedger { MaxRedeliveries = settings.MaxRedeliveries, StopIsHard = settings.IsHard };
        _spillover = new StressSpillover(this);
        _planner.Wanted = settings.Machines;
        _events =
        [
            (3, LoseSome),
            (2, InterruptSome),
            (3, random => _planner.Wanted = random.Next(1, 4)),
            (3, _spillover.ChangeQuote),
            (1, _ => Monitor!.GetReport()),
            (2, random => InTheBackground(ReloadAsync(isBroken: random.Next(3) == 0))),
        ];
    }

    public StressSettings Settings { get; }

    public RequestLedger Ledger { get; }

    /// <summary>How long anything may take before the run fails. It never decides between right and wrong, only between a hang and an error that tells of it.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMinutes(1);

    private IModelMonitor Monitor { get; set; } = null!;

    private IModelReloader<StressCall, Reply> Reloader { get; set; } = null!;

    /// <summary>Runs the world to its end and checks what is left of it.</summary>
    /// <returns>What is wrong; empty if all is well.</returns>
    public async Task<string> RunAsync()
    {
        await StartAsync();
        var callers = new StressCallers(_host.Services.GetRequiredKeyedService<IModelClient<StressCall, Reply>>(Model), Ledger, Settings) { OnCall = OnCall };
        await PatientlyAsync("the callers", callers.RunAsync());
        if (Settings.End == StressEnd.AfterTheLastCall)
        {
            Stop();
        }
        await PatientlyAsync("the stop", _stop);
        await DisposeAsync();
        await CheckWhatIsLeftAsync(callers.Total);
        return Ledger.Violations.IsEmpty ? "" : await DescribeAsync();
    }

    public StressRunner Connect(string id)
    {
        var runner = new StressRunner(this, MachineOf(id), Interlocked.Increment(ref _connected));
        _runners.Enqueue(runner);
        return runner;
    }

    /// <summary>A machine goes at once, whatever it does.</summary>
    /// <returns>Whether there was such a machine.</returns>
    public bool Lose(string id) => Settings.Machines > 0 && MachineOf(id).Lose() && _provider.TryChange(id, InstanceState.Terminated);

    public void InTheBackground(Task task) => _background.Enqueue(task);

    private async Task StartAsync()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Logging.AddProvider(_log);
        builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = TimeSpan.FromHours(1));
        builder.Services.AddMArkServing().AddModel<StressCall, Reply>(Model, Configure);
        _host = builder.Build();
        Monitor = _host.Services.GetRequiredKeyedService<IModelMonitor>(Model);
        Reloader = _host.Services.GetRequiredKeyedService<IModelReloader<StressCall, Reply>>(Model);
        await PatientlyAsync("the start", _host.StartAsync());
    }

    private void Configure(ModelBuilder<StressCall, Reply> model)
    {
        model.UseRunner(_ => new StressRunnerFactory(this)).WithSlo(Settings.Slo).UseBatchPolicy(_ => Settings.CreatePolicy()).WithOptions(o =>
        {
            o.MaxBatchSize = Settings.MaxBatchSize;
            o.MaxQueueLength = Settings.MaxQueueLength;
            o.MaxBatchWeight = Settings.MaxBatchWeight;
            o.MaxQueueBytes = Settings.MaxQueueBytes;
            o.MaxRedeliveries = Settings.MaxRedeliveries;
            o.DrainTimeout = Settings.IsHard ? TimeSpan.FromMilliseconds(Settings.Seed % 3) : TimeSpan.FromHours(1);
            o.Fleet.SampleInterval = TimeSpan.FromMilliseconds(10);
            o.Fleet.PlanInterval = TimeSpan.FromMilliseconds(10);
            o.Fleet.Horizon = 3;
            o.Fleet.ScaleInCooldown = TimeSpan.FromMilliseconds(20);
        });
        if (Settings.IsProfiled)
        {
            var profile = LatencyProfile.Linear(TimeSpan.FromMicroseconds(20), TimeSpan.FromMicroseconds(10), Settings.MaxBatchSize);
            model.WithProfile(Settings.Machines > 0 ? "o" : "in-process", profile);
        }
        if (Settings.HasSpillover)
        {
            model.UseSpillover(_ => _spillover);
        }
        if (Settings.Machines > 0)
        {
            model.UseInstanceProvider(_ => _provider).UsePlanner(_ => _planner);
        }
        else
        {
            model.WithConcurrency(Settings.FixedInstances);
        }
    }

    private void OnCall(Random random, int number)
    {
        if (Settings.End != StressEnd.AfterTheLastCall && number == Settings.Callers * Settings.CallsPerCaller / 2)
        {
            Stop();
        }
        if (random.Next(1000) < Settings.Events)
        {
            var pick = random.Next(_events.Sum(e => e.Weight));
            _events.First(e => (pick -= e.Weight) < 0).Happens(random);
        }
    }

    private void Stop()
    {
        Ledger.OnStop();
        _stop = Settings.End == StressEnd.ByDispose ? Task.Run(DisposeAsync) : Task.Run(() => _host.StopAsync());
    }

    private async Task DisposeAsync() => await ((IAsyncDisposable)_host).DisposeAsync();

    private StressMachine MachineOf(string id) => _machines.GetOrAdd(id, key => new StressMachine(Ledger, key));

    private async Task ReloadAsync(bool isBroken)
    {
        try
        {
            await Reloader.ReloadAsync(new StressRunnerFactory(this, isBroken), CancellationToken.None);
            Ledger.OnReload(failed: false);
            if (isBroken)
            {
                Ledger.Violate("a version that does not load took the place of one that serves");
            }
        }
        catch (ModelReloadException e) when (isBroken && e.InnerException is StressFault)
        {
            Ledger.OnReload(failed: true);
        }
        catch (ModelReloadException) when (Ledger.HasStopped)
        {
            // There is no model any more.
        }
        catch (Exception e)
        {
            Ledger.Violate($"a reload failed: {e}");
        }
    }

    private void LoseSome(Random random) => Pick(random, id => Lose(id));

    private void InterruptSome(Random random) => Pick(random, id => _provider.TryChange(id, InstanceState.Interrupting));

    private void Pick(Random random, Action<string> act)
    {
        if (_provider.Machines is { Count: > 0 } machines)
        {
            act(machines[random.Next(machines.Count)].Id);
        }
    }

    private async Task CheckWhatIsLeftAsync(int total)
    {
        await PatientlyAsync("late answers and reloads", Task.WhenAll(_background));
        foreach (var runner in _runners)
        {
            await PatientlyAsync($"the end of runner {runner.Id}", runner.Disposed.Task);
            foreach (var thread in runner.Threads)
            {
                await PatientlyAsync($"the end of the thread of runner {runner.Id}", Task.Run(thread.Join));
            }
        }
        if (_provider.Machines.Count > 0)
        {
            Ledger.Violate($"machines are left: {string.Join(", ", _provider.Machines.Select(m => m.Id))}");
        }
        if (Ledger.Counts.Ended != total)
        {
            Ledger.Violate($"{total} calls were made, and {Ledger.Counts.Ended} have ended");
        }
        if (Monitor.GetReport() is { } report && report.ReadyInstances + report.LaunchingInstances + report.DrainingInstances > 0)
        {
            Ledger.Violate($"instances are left: {report}");
        }
        foreach (var misfit in await MisfitsAsync())
        {
            Ledger.Violate($"the report does not fit: {misfit}");
        }
        foreach (var error in _log.Errors.Where(e => !IsOurs(e)))
        {
            Ledger.Violate($"the engine reports what no part of this world has done: {error}");
        }
    }

    private async Task<IReadOnlyList<string>> MisfitsAsync()
    {
        IReadOnlyList<string> misfits;
        using var giveUp = new CancellationTokenSource(Settings.IsHard ? SpillPatience : TimeSpan.Zero);
        while ((misfits = Ledger.Counts.Compare(Monitor.GetReport(), Ledger.Spilled)).Count > 0 && !giveUp.IsCancellationRequested)
        {
            // A hard stop does not wait for the spillover target, so what that has answered may be counted a moment later.
            await Task.Yield();
        }
        return misfits;
    }

    /// <summary>Whether an error that the engine reports is of this world's making.</summary>
    private bool IsOurs(Exception error) =>
        error is StressFault or InstanceFailedException or OperationCanceledException
        || (error is ObjectDisposedException && Settings.End == StressEnd.ByDispose)
        || error is ContractViolationException { InnerException: null, PartName: nameof(StressRunnerFactory) or nameof(StressRunner) }
        || (error.InnerException is { } inner && IsOurs(inner));

    private async Task PatientlyAsync(string what, Task task)
    {
        try
        {
            await task.WaitAsync(Patience);
        }
        catch (TimeoutException)
        {
            Ledger.Violate($"{what} did not end within {Patience}");
            throw new TimeoutException(await DescribeAsync());
        }
    }

    private async Task<string> DescribeAsync()
    {
        var text = new StringBuilder();
        // An engine that hangs may not even report.
        var report = Task.Run(Monitor.GetReport);
        await Task.WhenAny(report, Task.Delay(TimeSpan.FromSeconds(5)));
        text.AppendLine($"{Settings}").AppendLine($"{Ledger.Counts}").AppendLine(report.IsCompletedSuccessfully ? $"{report.Result}" : "The engine gives no report.");
        Append("wrong", Ledger.Violations);
        Append("calls wait", [.. Ledger.Waiting.Select(c => c.ToString())]);
        Append("machines are there", [.. _provider.Machines.Select(m => m.ToString())]);
        Append("errors were logged", [.. _log.Errors.Select(e => e.Message)]);
        return text.ToString();

        void Append(string what, IReadOnlyCollection<string> lines)
        {
            text.AppendLine($"{lines.Count} {what}:");
            foreach (var line in lines.Take(12))
            {
                text.Append("  ").AppendLine(line);
            }
        }
    }

    private sealed class ScalablePlanner : IProvisioningPlanner
    {
        public volatile int Wanted;

        public void Plan(in ProvisioningContext context, FleetPlan plan)
        {
            for (var t = 0; t < plan.Horizon; t++)
            {
                plan.Step(t)[0] = Wanted;
            }
        }
    }
}
