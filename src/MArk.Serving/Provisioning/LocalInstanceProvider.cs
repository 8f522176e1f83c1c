using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace MArk.Serving.Provisioning;

/// <summary>
/// Instances in this process. Each holds its threads' cores exclusively, so that the time of a batch stays what was measured; one that
/// stands in for a slower device (<see cref="LocalOffering.DeviceTimeScale"/> above 1) holds none.
/// </summary>
internal sealed class LocalInstanceProvider : IInstanceProvider
{
    private readonly Dictionary<string, LocalOffering> _offerings;
    private readonly TimeProvider _time;
    private readonly CoreBudget _cores;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Machine> _machines = [];
    private readonly Dictionary<string, Machine> _byLaunch = [];
    private readonly List<(string Fleet, Channel<InstanceDescriptor> Changes)> _watchers = [];
    private int _next;

    public LocalInstanceProvider(IReadOnlyList<LocalOffering> offerings, CoreBudget cores, TimeProvider time)
    {
        if (offerings.Count == 0)
        {
            throw new ArgumentException("A local provider needs at least one offering.", nameof(offerings));
        }
        foreach (var offering in offerings)
        {
            offering.Validate();
        }
        if (offerings.GroupBy(o => o.Name).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"There are {twice.Count()} local offerings named '{twice.Key}'; names must be unique.", nameof(offerings));
        }
        _offerings = offerings.ToDictionary(o => o.Name);
        _cores = cores;
        _time = time;
        Offerings = [.. offerings.Select(o => new InstanceOffering
        {
            Name = o.Name,
            PricePerHour = o.PricePerHour,
            LaunchDelay = o.LaunchDelay,
            MinimumBilling = o.MinimumBilling,
            MaxInstances = o.DeviceTimeScale > 1 ? o.MaxInstances : Math.Min(o.MaxInstances, cores.Cores / o.Threads),
            DeviceTimeScale = o.DeviceTimeScale,
        })];
        if (Offerings.FirstOrDefault(o => o.MaxInstances == 0) is { } none)
        {
            throw new ArgumentException(
                $"Local offering '{none.Name}' wants {_offerings[none.Name].Threads} threads an instance; this machine has {cores.Cores} cores.", nameof(offerings));
        }
    }

    public IReadOnlyList<InstanceOffering> Offerings { get; }

    public ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Machine machine;
        lock (_gate)
        {
            if (_byLaunch.TryGetValue(request.LaunchId, out var before))
            {
                return new(before.Descriptor);
            }
            if (!_offerings.TryGetValue(request.OfferingName, out var offering))
            {
                throw new InstanceLaunchException(
                    request.OfferingName, LaunchFailure.Misconfigured, $"there is no such offering; there are: {string.Join(", ", _offerings.Keys)}.");
            }
            if (_machines.Values.Count(m => m.Descriptor.OfferingName == offering.Name) >= offering.MaxInstances)
            {
                throw new InstanceLaunchException(offering.Name, LaunchFailure.QuotaExceeded, $"{offering.MaxInstances} instances run, which is its maximum.");
            }
            var held = offering.DeviceTimeScale > 1 ? 0 : offering.Threads;
            if (!_cores.TryHold(held))
            {
                throw new InstanceLaunchException(
                    offering.Name, LaunchFailure.InsufficientCapacity, $"it needs {held} cores, and too few of the {_cores.Cores} there are are free.");
            }
            machine = new Machine(request.Fleet, held, new InstanceDescriptor
            {
                Id = $"{request.Fleet}-{offering.Name}-{++_next}",
                LaunchId = request.LaunchId,
                OfferingName = offering.Name,
                State = InstanceState.Pending,
                BilledFrom = _time.GetUtcNow(),
                Threads = offering.Threads,
                DeviceTimeScale = offering.DeviceTimeScale,
            });
            _machines.Add(machine.Descriptor.Id, machine);
            _byLaunch.Add(request.LaunchId, machine);
            machine.Timer = _time.CreateTimer(_ => Change(machine, InstanceState.Running), null, offering.LaunchDelay, Timeout.InfiniteTimeSpan);
        }
        return new(machine.Descriptor);
    }

    public ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken)
    {
        Machine? machine;
        lock (_gate)
        {
            _machines.Remove(instanceId, out machine);
        }
        if (machine is not null)
        {
            Change(machine, InstanceState.Terminated);
            machine.Timer?.Dispose();
            _cores.Release(machine.Held);
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return new([.. _machines.Values.Where(m => m.Fleet == fleet).Select(m => m.Descriptor)]);
        }
    }

    public async IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var changes = Channel.CreateUnbounded<InstanceDescriptor>();
        lock (_gate)
        {
            _watchers.Add((fleet, changes));
            // What changed before the watch began is told first, so that nothing falls between a list and a watch.
            foreach (var machine in _machines.Values.Where(m => m.Fleet == fleet))
            {
                changes.Writer.TryWrite(machine.Descriptor);
            }
        }
        try
        {
            await foreach (var change in changes.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return change;
            }
        }
        finally
        {
            lock (_gate)
            {
                _watchers.Remove((fleet, changes));
            }
        }
    }

    private void Change(Machine machine, InstanceState state)
    {
        lock (_gate)
        {
            if (machine.Descriptor.State == InstanceState.Terminated)
            {
                return;
            }
            machine.Descriptor = machine.Descriptor with { State = state };
            foreach (var (fleet, changes) in _watchers)
            {
                if (fleet == machine.Fleet)
                {
                    changes.Writer.TryWrite(machine.Descriptor);
                }
            }
        }
    }

    private sealed class Machine(string fleet, int held, InstanceDescriptor descriptor)
    {
        public string Fleet { get; } = fleet;

        public int Held { get; } = held;

        public InstanceDescriptor Descriptor { get; set; } = descriptor;

        public ITimer? Timer { get; set; }
    }
}
