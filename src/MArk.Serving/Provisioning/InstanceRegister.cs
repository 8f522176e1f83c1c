using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace MArk.Serving.Provisioning;

/// <summary>The machines of a provider that keeps them in memory: which there are, and what changes. For providers of your own. Thread-safe.</summary>
public sealed class InstanceRegister
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (string Fleet, InstanceDescriptor Descriptor)> _machines = [];
    private readonly Dictionary<string, InstanceDescriptor> _byLaunch = [];
    private readonly List<(string Fleet, Channel<InstanceDescriptor> Changes)> _watchers = [];

    /// <summary>What came of a launch before: a provider that is asked for it again answers with that.</summary>
    /// <param name="launchId">The launch.</param>
    /// <param name="descriptor">The machine, as it is; as it was last if it is gone.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryGetLaunch(string launchId, [MaybeNullWhen(false)] out InstanceDescriptor descriptor)
    {
        lock (_gate)
        {
            return _byLaunch.TryGetValue(launchId, out descriptor);
        }
    }

    /// <summary>Adds a machine. Whoever launched it is told by the launch's answer.</summary>
    /// <param name="fleet">The fleet it belongs to.</param>
    /// <param name="descriptor">The machine.</param>
    /// <exception cref="ArgumentException">There is a machine of that identifier.</exception>
    public void Add(string fleet, InstanceDescriptor descriptor)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        lock (_gate)
        {
            _machines.Add(descriptor.Id, (fleet, descriptor));
            _byLaunch.Add(descriptor.LaunchId, descriptor);
        }
    }

    /// <summary>A machine is in another state, and those that watch its fleet are told. <see cref="InstanceState.Terminated"/> takes it out of the register.</summary>
    /// <param name="instanceId">The machine.</param>
    /// <param name="state">Its state.</param>
    /// <returns>Whether it was there.</returns>
    public bool Change(string instanceId, InstanceState state) => Change(instanceId, machine => machine with { State = state });

    /// <summary>A machine is another in whatever is known of it, and those that watch its fleet are told.</summary>
    /// <param name="instanceId">The machine.</param>
    /// <param name="change">Makes what it is of what it was; its identifier and launch stay.</param>
    /// <returns>Whether it was there.</returns>
    public bool Change(string instanceId, Func<InstanceDescriptor, InstanceDescriptor> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        lock (_gate)
        {
            if (!_machines.TryGetValue(instanceId, out var machine))
            {
                return false;
            }
            var changed = change(machine.Descriptor);
            if (changed.State == InstanceState.Terminated)
            {
                _machines.Remove(instanceId);
            }
            else
            {
                _machines[instanceId] = (machine.Fleet, changed);
            }
            _byLaunch[changed.LaunchId] = changed;
            Tell(machine.Fleet, changed);
            return true;
        }
    }

    /// <summary>The machines of an offering, of all fleets.</summary>
    /// <param name="offeringName">The offering.</param>
    /// <returns>How many there are.</returns>
    public int CountOf(string offeringName)
    {
        lock (_gate)
        {
            return _machines.Values.Count(m => m.Descriptor.OfferingName == offeringName);
        }
    }

    /// <summary>The machines of a fleet.</summary>
    /// <param name="fleet">The fleet.</param>
    /// <returns>The machines that are not terminated.</returns>
    public IReadOnlyList<InstanceDescriptor> List(string fleet)
    {
        lock (_gate)
        {
            return [.. _machines.Values.Where(m => m.Fleet == fleet).Select(m => m.Descriptor)];
        }
    }

    /// <summary>Changes of a fleet's machines from now on, after how they are now: nothing falls between a list and a watch.</summary>
    /// <param name="fleet">The fleet.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    /// <returns>The changes, as they happen; those of one machine in their order.</returns>
    public async IAsyncEnumerable<InstanceDescriptor> WatchAsync(string fleet, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var changes = Channel.CreateUnbounded<InstanceDescriptor>();
        lock (_gate)
        {
            _watchers.Add((fleet, changes));
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

    private void Tell(string fleet, InstanceDescriptor descriptor)
    {
        foreach (var (watched, changes) in _watchers)
        {
            if (watched == fleet)
            {
                changes.Writer.TryWrite(descriptor);
            }
        }
    }
}
