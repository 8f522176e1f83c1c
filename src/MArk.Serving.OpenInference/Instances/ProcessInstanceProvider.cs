using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.OpenInference.Instances;

/// <summary>Worker processes on this machine: the distributed form on a laptop. They end with this process.</summary>
internal sealed class ProcessInstanceProvider : IInstanceProvider, IAsyncDisposable
{
    private const int FirstPort = 20_000;
    private const int PortCount = 12_000;
    private const int PortsApart = 101;

    private static int s_port = Environment.ProcessId * PortsApart;

    private static readonly TimeSpan StartPoll = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan KillTimeout = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, ProcessOffering> _offerings;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Dictionary<string, HealthProbe> _probes;
    private readonly InstanceRegister _machines = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Worker> _workers = [];
    private int _next;
    private bool _isDisposed;

    public ProcessInstanceProvider(IReadOnlyList<ProcessOffering> offerings, TimeProvider time, ILogger logger)
    {
        if (offerings.Count == 0)
        {
            throw new ArgumentException("A provider of processes needs at least one offering.", nameof(offerings));
        }
        foreach (var offering in offerings)
        {
            offering.Check();
        }
        if (offerings.GroupBy(o => o.Name).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"There are {twice.Count()} process offerings named '{twice.Key}'; names must be unique.", nameof(offerings));
        }
        (_time, _logger) = (time, logger);
        _offerings = offerings.ToDictionary(o => o.Name);
        _probes = offerings.ToDictionary(o => o.Name, o => new HealthProbe(o.Health, time));
        Offerings = [.. offerings.Select(o => new InstanceOffering { Name = o.Name, PricePerHour = o.PricePerHour, LaunchDelay = o.LaunchDelay, MaxInstances = o.MaxInstances })];
        if (ProcessLauncher.ParentDeathSignal is null && OperatingSystem.IsLinux())
        {
            OpenInferenceLog.NoParentDeathSignal(logger);
        }
    }

    public IReadOnlyList<InstanceOffering> Offerings { get; }

    public async ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken)
    {
        if (_machines.TryGetLaunch(request.LaunchId, out var before))
        {
            return before;
        }
        if (!_offerings.TryGetValue(request.OfferingName, out var offering))
        {
            throw new InstanceLaunchException(request.OfferingName, LaunchFailure.Misconfigured, $"there is no such offering; there are: {string.Join(", ", _offerings.Keys)}.");
        }
        if (_machines.CountOf(offering.Name) >= offering.MaxInstances)
        {
            throw new InstanceLaunchException(offering.Name, LaunchFailure.QuotaExceeded, $"{offering.MaxInstances} processes run, which is its maximum.");
        }
        if (ProcessLauncher.Find(offering.FileName) is null)
        {
            throw new InstanceLaunchException(offering.Name, LaunchFailure.Misconfigured, $"there is no program '{offering.FileName}'.");
        }
        var id = FormattableString.Invariant($"{request.Fleet}-{offering.Name}-{Environment.ProcessId}-{Interlocked.Increment(ref _next)}");
        var endpoint = new Uri(FormattableString.Invariant($"http://127.0.0.1:{FreePort(offering.Name)}/"));
        var worker = await StartAsync(offering, id, endpoint).ConfigureAwait(false);
        OpenInferenceLog.WorkerStarted(_logger, id, worker.Process.Id, endpoint);
        return Add(request, offering, id, endpoint, worker);
    }

    public async ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken)
    {
        if (Remove(instanceId) is { } worker)
        {
            await worker.EndAsync().ConfigureAwait(false);
        }
    }

    public ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken) => new(_machines.List(fleet));

    public IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, CancellationToken cancellationToken) => _machines.WatchAsync(fleet, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        Worker[] left;
        lock (_gate)
        {
            _isDisposed = true;
            left = [.. _workers.Values];
            _workers.Clear();
        }
        foreach (var worker in left)
        {
            await worker.EndAsync().ConfigureAwait(false);
        }
        foreach (var probe in _probes.Values)
        {
            probe.Dispose();
        }
    }

    /// <summary>The process of an instance: for whoever looks after it, and for tests.</summary>
    internal int? ProcessOf(string instanceId)
    {
        lock (_gate)
        {
            return _workers.TryGetValue(instanceId, out var worker) ? worker.Process.Id : null;
        }
    }

    /// <summary>
    /// A port that nobody listens on now: below those that systems give to connections, one after the other from a place that depends on this process, so that neither they nor another host takes
    /// it before the worker does.
    /// </summary>
    private static int FreePort(string offering)
    {
        for (var tries = 0; tries < PortCount; tries++)
        {
            var port = FirstPort + (int)((uint)Interlocked.Increment(ref s_port) % PortCount);
            try
            {
                using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // Somebody listens there: the next.
                continue;
            }
        }
        throw new InstanceLaunchException(offering, LaunchFailure.InsufficientCapacity, FormattableString.Invariant($"no port from {FirstPort} to {FirstPort + PortCount - 1} is free."));
    }

    private async Task<Worker> StartAsync(ProcessOffering offering, string id, Uri endpoint)
    {
        var start = new ProcessStartInfo(offering.FileName)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = offering.WorkingDirectory ?? "",
        };
        foreach (var argument in offering.Arguments)
        {
            start.ArgumentList.Add(Fill(argument));
        }
        foreach (var (name, value) in offering.Environment)
        {
            start.Environment[name] = Fill(value);
        }
        try
        {
            var process = await ProcessLauncher.StartAsync(start).ConfigureAwait(false);
            var worker = new Worker(process);
            process.OutputDataReceived += (_, line) => Say(worker, id, line.Data);
            process.ErrorDataReceived += (_, line) => Say(worker, id, line.Data);
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            return worker;
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or InvalidOperationException or FileNotFoundException)
        {
            throw new InstanceLaunchException(offering.Name, LaunchFailure.Misconfigured, $"'{offering.FileName}' cannot be started: {e.Message}", e);
        }

        string Fill(string text) => text.Replace("{port}", endpoint.Port.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal).Replace("{id}", id, StringComparison.Ordinal);
    }

    private void Say(Worker worker, string id, string? line)
    {
        worker.LastLine = string.IsNullOrWhiteSpace(line) ? worker.LastLine : line;
        if (line is not null && _logger.IsEnabled(LogLevel.Debug))
        {
            OpenInferenceLog.WorkerSaid(_logger, id, line);
        }
    }

    private InstanceDescriptor Add(LaunchRequest request, ProcessOffering offering, string id, Uri endpoint, Worker worker)
    {
        var machine = new InstanceDescriptor
        {
            Id = id,
            LaunchId = request.LaunchId,
            OfferingName = offering.Name,
            State = InstanceState.Pending,
            BilledFrom = _time.GetUtcNow(),
            Endpoint = endpoint,
        };
        lock (_gate)
        {
            if (_isDisposed)
            {
                worker.Kill();
                throw new InstanceLaunchException(offering.Name, LaunchFailure.Unknown, "the provider has ended.");
            }
            _machines.Add(request.Fleet, machine);
            _workers.Add(id, worker);
        }
        worker.Watch = Task.Run(() => LookAfterAsync(worker, machine, offering));
        return machine;
    }

    /// <summary>Tells when a worker runs, and when it is gone: ended by itself, not well any more, or never well.</summary>
    private async Task LookAfterAsync(Worker worker, InstanceDescriptor machine, ProcessOffering offering)
    {
        var exit = worker.Process.WaitForExitAsync(worker.Ended.Token);
        var health = FollowHealthAsync(worker, machine, offering);
        var first = await Task.WhenAny(exit, health).ConfigureAwait(false);
        if (worker.Ended.IsCancellationRequested)
        {
            await ((Task)health).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return;
        }
        if (first == exit)
        {
            OpenInferenceLog.WorkerEnded(_logger, machine.Id, worker.Process.Id, worker.Process.ExitCode, worker.LastLine);
        }
        else
        {
            OpenInferenceLog.InstanceGivenUp(_logger, machine.Id, machine.Endpoint!, await health.ConfigureAwait(false));
        }
        if (Remove(machine.Id) is not null)
        {
            worker.Kill();
            await worker.Ended.CancelAsync().ConfigureAwait(false);
            await ((Task)health).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            worker.Process.Dispose();
        }
    }

    private async Task<string> FollowHealthAsync(Worker worker, InstanceDescriptor machine, ProcessOffering offering)
    {
        var probe = _probes[offering.Name];
        using var late = new CancellationTokenSource(offering.StartTimeout, _time);
        while (await probe.AskAsync(machine.Endpoint!, worker.Ended.Token).ConfigureAwait(false) is { Wrong: { } wrong })
        {
            if (late.IsCancellationRequested)
            {
                return $"it was not well within {offering.StartTimeout} of its start: {wrong}.";
            }
            await Task.Delay(StartPoll, _time, worker.Ended.Token).ConfigureAwait(false);
        }
        _machines.Change(machine.Id, InstanceState.Running);
        return await probe.UntilGivenUpAsync(
            machine.Endpoint!, endsAt => _machines.Change(machine.Id, m => m with { State = InstanceState.Interrupting, InterruptedAt = endsAt }), worker.Ended.Token).ConfigureAwait(false);
    }

    private Worker? Remove(string instanceId)
    {
        lock (_gate)
        {
            if (!_workers.Remove(instanceId, out var worker))
            {
                return null;
            }
            _machines.Change(instanceId, InstanceState.Terminated);
            return worker;
        }
    }

    private sealed class Worker(Process process)
    {
        public Process Process { get; } = process;

        public CancellationTokenSource Ended { get; } = new();

        public Task Watch { get; set; } = Task.CompletedTask;

        /// <summary>The last that it wrote: why it ended, often.</summary>
        public string LastLine { get; set; } = "";

        public void Kill()
        {
            try
            {
                Process.Kill(entireProcessTree: true);
            }
            catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                // It has ended by itself.
                Debug.WriteLine(e);
            }
        }

        public async Task EndAsync()
        {
            await Ended.CancelAsync().ConfigureAwait(false);
            Kill();
            await Watch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            // One that left its output to a child of its own is not waited for until that ends.
            await Process.WaitForExitAsync().WaitAsync(KillTimeout).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Process.Dispose();
        }
    }
}
