using System.Runtime.CompilerServices;
using System.Threading.Channels;
using MArk.Serving.Engine;

namespace MArk.Serving.Diagnostics;

/// <summary>Makes reports from a model's counters.</summary>
internal sealed class ModelMonitor(IReportSource source, TimeProvider time) : IModelMonitor
{
    public string ModelName => source.ModelName;

    public ModelReport GetReport() => Report(new Snapshot(), Take());

    public async IAsyncEnumerable<ModelReport> WatchAsync(TimeSpan interval, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(interval, TimeSpan.Zero);
        var snapshots = Channel.CreateBounded<Snapshot>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        var before = Take();
        await using var timer = time.CreateTimer(_ => snapshots.Writer.TryWrite(Take()), null, interval, interval).ConfigureAwait(false);
        while (true)
        {
            Snapshot now;
            try
            {
                now = await snapshots.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                yield break;
            }
            yield return Report(before, now);
            before = now;
        }
    }

    public IReadOnlyDictionary<string, LatencyProfile> GetProfiles() => source.GetProfiles();

    private Snapshot Take()
    {
        var snapshot = new Snapshot();
        source.Take(snapshot);
        return snapshot;
    }

    private ModelReport Report(Snapshot before, Snapshot now)
    {
        var interval = now.SinceStart - before.SinceStart;
        var latency = now.Latency.Minus(before.Latency);
        var batches = now.Batches - before.Batches;
        return new ModelReport
        {
            ModelName = ModelName,
            At = now.At,
            Interval = interval,
            ArrivalRate = interval > TimeSpan.Zero ? (now.Offered - before.Offered) / interval.TotalSeconds : 0,
            ForecastPeak = now.Fleet.ForecastPeak,
            ReadyInstances = now.Fleet.Ready,
            LaunchingInstances = now.Fleet.Launching,
            DrainingInstances = now.Fleet.Draining,
            MeanBatch = batches == 0 ? 0 : (double)(now.BatchedRequests - before.BatchedRequests) / batches,
            P50 = latency.Quantile(0.5),
            P99 = latency.Quantile(0.99),
            OutOfRotation = now.OutOfRotation,
            BatchesByReason = Enum.GetValues<BatchReason>().ToDictionary(reason => reason, reason => now.ByReason[(int)reason]),
            LongestOldestWait = now.OldestWait.Minus(before.OldestWait).Quantile(1),
            Waiting = now.Waiting,
            WaitingBytes = now.WaitingBytes,
            Offered = now.Offered,
            Succeeded = now.Succeeded,
            InTime = now.InTime,
            Failed = now.Failed,
            Rejected = now.Rejected,
            Cancelled = now.Cancelled,
            Spilled = now.Spilled,
            Cost = now.Cost,
            DeviceTimeScale = source.DeviceTimeScale,
            PlanExplanation = now.Fleet.Explanation,
            Fleet = source.HasFleet ? Report(now.Fleet) : null,
        };
    }

    private static FleetReport Report(FleetStatus fleet) => new()
    {
        IsKeeper = fleet.IsKeeper,
        HourlySpend = fleet.HourlySpend,
        LaunchFailures = Enum.GetValues<LaunchFailure>().ToDictionary(reason => reason, reason => fleet.Tally.LaunchFailures[(int)reason]),
        NeverReady = fleet.Tally.NeverReady,
        Interruptions = fleet.Tally.Interruptions,
        StoppedInstances = fleet.Stopped,
        Resumptions = fleet.Tally.Resumptions,
        SloBreaches = fleet.Tally.SloBreaks,
        RecentAttainment = fleet.RecentAttainment,
        PlanBounds = Enum.GetValues<PlanBoundKind>().ToDictionary(kind => kind, kind => fleet.Tally.Bounds[(int)kind]),
    };
}
