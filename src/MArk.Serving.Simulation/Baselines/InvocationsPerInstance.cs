namespace MArk.Serving.Simulation.Baselines;

/// <summary>SageMaker's metric: the invocations of each minute, counted from the first slot on, over the instances in service.</summary>
/// <param name="kept">How many of the last points are kept; at least 1.</param>
internal sealed class InvocationsPerInstance(int kept)
{
    private const long Minute = TimeSpan.TicksPerMinute;

    private readonly List<MetricPoint?> _points = [];
    private long? _origin;
    private long _minute;           // of the slots that were added up and are not a point yet
    private long _covered;
    private long _arrivals;
    private double _instanceTicks;

    /// <summary>How many points there have been.</summary>
    public long Count { get; private set; }

    /// <summary>The last point; nothing if its data is missing, or there is none.</summary>
    public MetricPoint? Last => _points.Count > 0 ? _points[^1] : null;

    /// <summary>Whether there are so many points, and each of the last so many has data that is as said: what an alarm asks.</summary>
    public bool LastAre(int count, Predicate<double> breaching)
    {
        if (_points.Count < count)
        {
            return false;
        }
        for (var i = _points.Count - count; i < _points.Count; i++)
        {
            if (_points[i] is not { } point || !breaching(point.PerInstance))
            {
                return false;
            }
        }
        return true;
    }

    /// <exception cref="InvalidProvisioningInputException">The slot does not lie within one minute.</exception>
    public void Add(in FleetObservation slot)
    {
        var start = slot.Start.UtcTicks - (_origin ??= slot.Start.UtcTicks);
        var minute = start / Minute;
        if ((start + slot.Length.Ticks - 1) / Minute != minute)
        {
            throw new InvalidProvisioningInputException(
                nameof(Provisioning.FleetOptions.SampleInterval), FormattableString.Invariant($"a slot of {slot.Length} does not lie within a minute; accepted are lengths that divide one."));
        }
        // Of a minute that was left off, or left out, there is no data. More of them than are kept make no difference.
        for (var missing = Math.Min(minute - _minute, kept); missing > 0; missing--)
        {
            Close(null);
        }
        _minute = minute;
        _covered += slot.Length.Ticks;
        _arrivals += slot.Arrivals;
        _instanceTicks += slot.MeanReady * slot.Length.Ticks;
        if (_covered >= Minute)
        {
            Close(_instanceTicks > 0 ? new MetricPoint(_arrivals, _instanceTicks / Minute) : null);
            _minute = minute + 1;
        }
    }

    private void Close(MetricPoint? point)
    {
        _points.Add(point);
        Count++;
        if (_points.Count > kept)
        {
            _points.RemoveAt(0);
        }
        (_covered, _arrivals, _instanceTicks) = (0, 0, 0);
    }
}

/// <summary>One minute.</summary>
/// <param name="Invocations">Requests that came in it.</param>
/// <param name="Instances">Those in service, the mean over the minute; more than 0.</param>
internal readonly record struct MetricPoint(long Invocations, double Instances)
{
    /// <summary>The metric.</summary>
    public double PerInstance => Invocations / Instances;
}
