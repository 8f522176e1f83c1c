namespace MArk.Serving.OpenInference.Server;

/// <summary>What became of a model's requests that came over the protocol, and how long they took here. Thread-safe.</summary>
internal sealed class EndpointStatistics
{
    private long _succeeded;
    private long _succeededNs;
    private long _failed;
    private long _failedNs;
    private long _lastAt;

    public long Succeeded => Volatile.Read(ref _succeeded);

    public long SucceededNs => Volatile.Read(ref _succeededNs);

    public long Failed => Volatile.Read(ref _failed);

    public long FailedNs => Volatile.Read(ref _failedNs);

    /// <summary>When the last one came, milliseconds since the Unix epoch; 0 if none has.</summary>
    public long LastAt => Volatile.Read(ref _lastAt);

    public void Count(bool hasSucceeded, TimeSpan took, DateTimeOffset at)
    {
        Volatile.Write(ref _lastAt, at.ToUnixTimeMilliseconds());
        var ns = took.Ticks * TimeSpan.NanosecondsPerTick;
        Interlocked.Increment(ref hasSucceeded ? ref _succeeded : ref _failed);
        Interlocked.Add(ref hasSucceeded ? ref _succeededNs : ref _failedNs, ns);
    }
}
