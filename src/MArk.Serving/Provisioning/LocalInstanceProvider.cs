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
    private readonly InstanceRegister _machines = new();
    private readonly Dictionary<string, (int Cores, ITimer Launching)> _held = [];
    private int _next;

    public LocalInstanceProvider(IReadOnlyList<LocalOffering> offerings, CoreBudget cores, TimeProvider time)
    {
        LocalOffering.Validate(offerings);
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
        lock (_gate)
        {
            if (_machines.TryGetLaunch(request.LaunchId, out var before))
            {
                return new(before);
            }
            if (!_offerings.TryGetValue(request.OfferingName, out var offering))
            {
                throw new InstanceLaunchException(
                    request.OfferingName, LaunchFailure.Misconfigured, $"there is no such offering; there are: {string.Join(", ", _offerings.Keys)}.");
            }
            if (_machines.CountOf(offering.Name) >= offering.MaxInstances)
            {
                throw new InstanceLaunchException(offering.Name, LaunchFailure.QuotaExceeded, $"{offering.MaxInstances} instances run, which is its maximum.");
            }
            var held = offering.DeviceTimeScale > 1 ? 0 : offering.Threads;
            if (!_cores.TryHold(held))
            {
                throw new InstanceLaunchException(
                    offering.Name, LaunchFailure.InsufficientCapacity, $"it needs {held} cores, and too few of the {_cores.Cores} there are are free.");
            }
            var machine = new InstanceDescriptor
            {
                Id = $"{request.Fleet}-{offering.Name}-{++_next}",
                LaunchId = request.LaunchId,
                OfferingName = offering.Name,
                State = InstanceState.Pending,
                BilledFrom = _time.GetUtcNow(),
                Threads = offering.Threads,
                DeviceTimeScale = offering.DeviceTimeScale,
            };
            _machines.Add(request.Fleet, machine);
            _held.Add(machine.Id, (held, _time.CreateTimer(_ => _machines.Change(machine.Id, InstanceState.Running), null, offering.LaunchDelay, Timeout.InfiniteTimeSpan)));
            return new(machine);
        }
    }

    public ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_held.Remove(instanceId, out var machine))
            {
                _machines.Change(instanceId, InstanceState.Terminated);
                machine.Launching.Dispose();
                _cores.Release(machine.Cores);
            }
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken) => new(_machines.List(fleet));

    public IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, CancellationToken cancellationToken) => _machines.WatchAsync(fleet, cancellationToken);
}
