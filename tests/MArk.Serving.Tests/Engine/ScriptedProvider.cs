using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace MArk.Serving.Tests.Engine;

/// <summary>A provider whose machines run at once, and whose calls fail, and machines die, when the test says so.</summary>
internal sealed class ScriptedProvider(params InstanceOffering[] offerings) : IInstanceProvider
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, InstanceDescriptor> _machines = [];
    private readonly List<Channel<InstanceDescriptor>> _watchers = [];
    private int _next;

    public IReadOnlyList<InstanceOffering> Offerings { get; } = offerings.Length > 0 ? offerings : [new InstanceOffering { Name = "o", PricePerHour = 1 }];

    public Func<LaunchRequest, Exception?> OnLaunch { get; set; } = _ => null;

    public Func<string, Exception?> OnTerminate { get; set; } = _ => null;

    public Func<Exception?> OnWatch { get; set; } = () => null;

    public int Launches { get; private set; }

    public IReadOnlyList<InstanceDescriptor> Machines
    {
        get
        {
            lock (_gate)
            {
                return [.. _machines.Values];
            }
        }
    }

    public ValueTask<InstanceDescriptor> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            Launches++;
            if (OnLaunch(request) is { } error)
            {
                throw error;
            }
            var machine = Add(request.LaunchId, request.OfferingName);
            Tell(machine);
            return new(machine with { State = InstanceState.Pending });
        }
    }

    /// <summary>A machine of an earlier run.</summary>
    public InstanceDescriptor Add(string launchId, string offering)
    {
        lock (_gate)
        {
            var machine = new InstanceDescriptor { Id = $"i-{++_next}", LaunchId = launchId, OfferingName = offering, State = InstanceState.Running, Threads = 1, BilledFrom = TimeProvider.System.GetUtcNow() };
            _machines.Add(machine.Id, machine);
            return machine;
        }
    }

    public void Change(string id, InstanceState state, DateTimeOffset? interruptedAt = null)
    {
        if (!TryChange(id, state, interruptedAt))
        {
            throw new ArgumentException($"There is no machine '{id}'.", nameof(id));
        }
    }

    /// <returns>Whether there is such a machine; it may have been ended meanwhile.</returns>
    public bool TryChange(string id, InstanceState state, DateTimeOffset? interruptedAt = null)
    {
        lock (_gate)
        {
            if (!_machines.TryGetValue(id, out var machine))
            {
                return false;
            }
            machine = machine with { State = state, InterruptedAt = interruptedAt };
            _machines[id] = machine;
            if (state == InstanceState.Terminated)
            {
                _machines.Remove(id);
            }
            Tell(machine);
            return true;
        }
    }

    public ValueTask TerminateAsync(string instanceId, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (OnTerminate(instanceId) is { } error)
            {
                throw error;
            }
            _machines.Remove(instanceId);
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<InstanceDescriptor>> ListAsync(string fleet, CancellationToken cancellationToken) => new(Machines);

    public async IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (OnWatch() is { } error)
        {
            throw error;
        }
        var changes = Channel.CreateUnbounded<InstanceDescriptor>();
        lock (_gate)
        {
            _watchers.Add(changes);
            foreach (var machine in _machines.Values)
            {
                changes.Writer.TryWrite(machine);
            }
        }
        await foreach (var change in changes.Reader.ReadAllAsync(cancellationToken))
        {
            yield return change;
        }
    }

    private void Tell(InstanceDescriptor machine)
    {
        foreach (var watcher in _watchers)
        {
            watcher.Writer.TryWrite(machine);
        }
    }
}
