namespace MArk.Serving.Simulation;

/// <summary>The environments of a simulated spillover target: which are warm, and for how long. Of those that are free the one that was used last is used first.</summary>
internal sealed class EnvironmentPool(SimulatedSpillover target)
{
    private readonly LinkedList<TimeSpan> _free = new();      // until when each is kept, ascending
    private int _busy;

    public long ColdStarts { get; private set; }

    /// <summary>When the first free environment is given up; never where none is free.</summary>
    public TimeSpan NextExpiry => _free.First?.Value ?? TimeSpan.MaxValue;

    /// <summary>Takes an environment for a request.</summary>
    /// <returns>How long the request takes.</returns>
    public TimeSpan Begin(TimeSpan now)
    {
        Expire(now);
        _busy++;
        if (target.ColdLatency is not { } cold)
        {
            return target.Latency;
        }
        if (_free.Count > 0)
        {
            _free.RemoveLast();
            return target.Latency;
        }
        ColdStarts++;
        return cold;
    }

    public void End(TimeSpan now)
    {
        _busy--;
        if (target.ColdLatency is not null)
        {
            _free.AddLast(now + target.EnvironmentLifetime);
        }
    }

    /// <summary>How many environments must start so that as many requests find a warm one.</summary>
    public int Lacking(TimeSpan now, int concurrency)
    {
        Expire(now);
        return target.ColdLatency is null ? 0 : Math.Clamp(concurrency - _free.Count, 0, target.MaxConcurrency - _busy - _free.Count);
    }

    public SpilloverQuote Quote(TimeSpan now)
    {
        Expire(now);
        return new SpilloverQuote
        {
            Warm = LatencyQuantiles.Constant(target.Latency),
            Cold = LatencyQuantiles.Constant(target.ColdLatency ?? target.Latency),
            FreeConcurrency = target.MaxConcurrency - _busy,
            WarmConcurrency = Math.Min(_free.Count, target.MaxConcurrency - _busy),
            PricePerRequest = target.PricePerRequest,
            ValidFor = TimeSpan.MaxValue,
        };
    }

    private void Expire(TimeSpan now)
    {
        while (_free.First is { } first && first.Value <= now)
        {
            _free.RemoveFirst();
        }
    }
}
