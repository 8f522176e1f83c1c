using MArk.Serving.Diagnostics;

namespace MArk.Serving.Engine;

// What the model has done so far.
internal sealed partial class ModelEngine<TIn, TOut> : IReportSource
{
    double IReportSource.DeviceTimeScale => _parts.Provider?.Offerings.Max(o => o.DeviceTimeScale) ?? 1;

    bool IReportSource.HasFleet => _parts.Provider is not null;

    /// <summary>Whether a request that comes now can be served: it is started, and an instance is in rotation.</summary>
    public bool IsReady
    {
        get
        {
            bool isReady;
            lock (_gate)
            {
                isReady = _started && !_ended && _scheduler.InstanceCount > _scheduler.OutOfRotationCount;
            }
            TakeInArrivals();
            return isReady;
        }
    }

    /// <summary>The distinct keys and shapes it keeps: those of requests that have not ended.</summary>
    internal int KeyCount
    {
        get
        {
            int count;
            lock (_gate)
            {
                count = _scheduler.KeyCount;
            }
            TakeInArrivals();
            return count;
        }
    }

    void IReportSource.Take(Snapshot snapshot)
    {
        snapshot.At = _time.GetUtcNow();
        snapshot.Fleet = _fleet?.Status ?? snapshot.Fleet;
        snapshot.Cost = _ledger.Summary(snapshot.At);
        snapshot.Invalid = Volatile.Read(ref _invalid);
        var (rejectedAtOnce, failedAtOnce) = (Volatile.Read(ref _rejectedAtOnce), Volatile.Read(ref _failedAtOnce));
        lock (_gate)
        {
            snapshot.SinceStart = Now - _startedAt;
            snapshot.Offered = _counters.Offered + rejectedAtOnce + failedAtOnce;
            snapshot.Succeeded = _counters.Succeeded;
            snapshot.InTime = _counters.InTime;
            snapshot.Failed = _counters.Failed + failedAtOnce;
            snapshot.Rejected = _counters.Rejected + rejectedAtOnce;
            snapshot.Cancelled = _counters.Cancelled;
            snapshot.Spilled = _counters.Spilled;
            snapshot.Batches = _counters.Batches;
            snapshot.BatchedRequests = _counters.BatchedRequests;
            snapshot.OutOfRotation = _scheduler.ServingOutOfRotationCount;
            snapshot.Waiting = _scheduler.WaitingCount;
            snapshot.WaitingBytes = _scheduler.WaitingBytes;
            _counters.Latency.CopyTo(snapshot.Latency);
            _counters.OldestWait.CopyTo(snapshot.OldestWait);
            _counters.ByReason.CopyTo(snapshot.ByReason, 0);
            if (_fleet is null)
            {
                var draining = _workers.Values.Count(worker => worker.IsSuperseded);
                snapshot.Fleet = _ended ? snapshot.Fleet : snapshot.Fleet with { Ready = _workers.Count - draining, Draining = draining };
            }
        }
        TakeInArrivals();
    }

    IReadOnlyDictionary<string, LatencyProfile> IReportSource.GetProfiles()
    {
        var profiles = new Dictionary<string, LatencyProfile>();
        lock (_gate)
        {
            for (var i = 0; i < (_parts.Provider?.Offerings.Count ?? 1); i++)
            {
                if (_scheduler.ProfileOf(i) is { } profile)
                {
                    profiles.Add(_parts.OfferingName(i), profile.Clone());
                }
            }
        }
        TakeInArrivals();
        return profiles;
    }
}
