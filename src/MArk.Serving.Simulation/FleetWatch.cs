namespace MArk.Serving.Simulation;

/// <summary>Tells an observer what a monitoring system would see of the fleet, slot after slot.</summary>
internal sealed class FleetWatch(IFleetObserver observer, DateTimeOffset origin, TimeSpan slot)
{
    private TimeSpan _start;
    private TimeWeighted _inSystem;
    private TimeWeighted _serving;
    private long _arrivals;
    private long _completions;

    public void OnArrival(TimeSpan now)
    {
        _arrivals++;
        _inSystem.Add(now, 1);
    }

    /// <summary>Requests have been answered by an instance.</summary>
    public void OnCompleted(TimeSpan now, int count)
    {
        _completions += count;
        _inSystem.Add(now, -count);
    }

    /// <summary>A request has gone where no instance answers it.</summary>
    public void OnLeft(TimeSpan now) => _inSystem.Add(now, -1);

    public void OnServing(TimeSpan now, int more) => _serving.Add(now, more);

    /// <summary>Tells of a slot that has ended. Asked at the end of each.</summary>
    public void Tell(TimeSpan now)
    {
        var length = now - _start;
        if (length < slot)
        {
            return;
        }
        observer.Observe(new FleetObservation(
            origin + _start, length, _arrivals, _completions, _inSystem.Take(now) / length.TotalSeconds, _serving.Take(now) / length.TotalSeconds));
        (_start, _arrivals, _completions) = (now, 0, 0);
    }
}
