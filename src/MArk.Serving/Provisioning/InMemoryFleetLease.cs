namespace MArk.Serving.Provisioning;

/// <summary>Leases of fleets that are kept by hosts of one process, which share this object. Thread-safe.</summary>
public sealed class InMemoryFleetLease : IFleetLease
{
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (string Holder, long Since, TimeSpan For)> _leases = [];

    /// <summary>Nobody holds any lease.</summary>
    /// <param name="time">The time that leases run out by; the system's if none is given.</param>
    public InMemoryFleetLease(TimeProvider? time = null) => _time = time ?? TimeProvider.System;

    /// <inheritdoc/>
    public ValueTask<bool> TryHoldAsync(string fleet, string holder, TimeSpan duration, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(fleet);
        ArgumentException.ThrowIfNullOrEmpty(holder);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(duration, TimeSpan.Zero);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            if (_leases.TryGetValue(fleet, out var held) && held.Holder != holder && _time.GetElapsedTime(held.Since) < held.For)
            {
                return new ValueTask<bool>(false);
            }
            _leases[fleet] = (holder, _time.GetTimestamp(), duration);
            return new ValueTask<bool>(true);
        }
    }

    /// <inheritdoc/>
    public ValueTask ReleaseAsync(string fleet, string holder, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(fleet);
        ArgumentException.ThrowIfNullOrEmpty(holder);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            if (_leases.TryGetValue(fleet, out var held) && held.Holder == holder)
            {
                _leases.Remove(fleet);
            }
        }
        return ValueTask.CompletedTask;
    }
}
