using MArk.Serving.Provisioning;

namespace MArk.Serving.Diagnostics;

/// <summary>What a model has done: rates, batches and latencies over an interval; counts and money since the start.</summary>
public sealed record ModelReport
{
    /// <summary>The model.</summary>
    public required string ModelName { get; init; }

    /// <summary>When the report was made, UTC.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>How long the interval is: since the report before it, or since the start.</summary>
    public required TimeSpan Interval { get; init; }

    /// <summary>Requests per second that arrived in the interval.</summary>
    public required double ArrivalRate { get; init; }

    /// <summary>The peak rate that the next plan step is forecast to have, requests per second; 0 where there is no fleet.</summary>
    public required double ForecastPeak { get; init; }

    /// <summary>Instances that serve.</summary>
    public required int ReadyInstances { get; init; }

    /// <summary>Instances on their way.</summary>
    public required int LaunchingInstances { get; init; }

    /// <summary>Instances that finish what they have, or are being ended.</summary>
    public required int DrainingInstances { get; init; }

    /// <summary>Instances, of those that serve, that failed and get nothing until they are probed with success.</summary>
    public required int OutOfRotation { get; init; }

    /// <summary>Batches that ran since the start, by why they left; every reason is there.</summary>
    public required IReadOnlyDictionary<BatchReason, long> BatchesByReason { get; init; }

    /// <summary>The longest that the oldest request of a batch of the interval had waited when the batch left, within 3 %; zero if none ran.</summary>
    public required TimeSpan LongestOldestWait { get; init; }

    /// <summary>Runs since the start that were needed to find which requests of failed batches were at fault.</summary>
    public long ExtraRuns => BatchesByReason.GetValueOrDefault(BatchReason.Retry);

    /// <summary>The mean number of requests of a batch in the interval; 0 if none ran.</summary>
    public required double MeanBatch { get; init; }

    /// <summary>The median latency of requests answered in the interval; zero if none was.</summary>
    public required TimeSpan P50 { get; init; }

    /// <summary>The 99th percentile of the latency of requests answered in the interval; zero if none was.</summary>
    public required TimeSpan P99 { get; init; }

    /// <summary>Requests that wait now.</summary>
    public required int Waiting { get; init; }

    /// <summary>The bytes that the inputs of waiting requests hold, as far as the runner or <c>WithSize</c> tells.</summary>
    public required long WaitingBytes { get; init; }

    /// <summary>Requests that arrived since the start, those that wait or run included.</summary>
    public required long Offered { get; init; }

    /// <summary>Requests answered well since the start.</summary>
    public required long Succeeded { get; init; }

    /// <summary>Requests answered well by their deadline since the start.</summary>
    public required long InTime { get; init; }

    /// <summary>Requests that failed since the start.</summary>
    public required long Failed { get; init; }

    /// <summary>Requests refused since the start.</summary>
    public required long Rejected { get; init; }

    /// <summary>Requests whose caller stopped waiting, since the start.</summary>
    public required long Cancelled { get; init; }

    /// <summary>Requests the spillover target answered since the start.</summary>
    public required long Spilled { get; init; }

    /// <summary>What it cost since the start.</summary>
    public required CostSummary Cost { get; init; }

    /// <summary>What a request that was answered well has cost since the start, instances and spillover, US dollars; 0 if none was.</summary>
    public decimal CostPerRequest => Succeeded > 0 ? Cost.Total / Succeeded : 0;

    /// <summary>How the fleet fares; <see langword="null"/> where no instances come from a provider.</summary>
    public required FleetReport? Fleet { get; init; }

    /// <summary>
    /// The largest <see cref="InstanceOffering.DeviceTimeScale"/> of the model's offerings. Above 1 instances stand in for slower devices: latencies, batches and
    /// dollars are those of the stand-ins, and whoever shows them must say so.
    /// </summary>
    public required double DeviceTimeScale { get; init; }

    /// <summary>Why the last plan was as it was; <see cref="PlanExplanation.None"/> where there is no fleet.</summary>
    public required PlanExplanation PlanExplanation { get; init; }

    /// <summary>
    /// Requests answered well by their deadline, of all that have ended since the start: a refusal and a failure are misses, and what a caller
    /// took back does not count. 1 if none has ended.
    /// </summary>
    public double SloAttainment => Succeeded + Failed + Rejected is var ended && ended > 0 ? (double)InTime / ended : 1;
}

/// <summary>Tells what a model does. The keyed service of the model's name.</summary>
public interface IModelMonitor
{
    /// <summary>The model.</summary>
    string ModelName { get; }

    /// <summary>A report over the time since the start.</summary>
    /// <returns>The report.</returns>
    ModelReport GetReport();

    /// <summary>A report every interval. A reader that is slow misses old ones, and the intervals say so.</summary>
    /// <param name="interval">The time between reports; more than zero.</param>
    /// <param name="cancellationToken">Ends the reports.</param>
    /// <returns>The reports.</returns>
    IAsyncEnumerable<ModelReport> WatchAsync(TimeSpan interval, CancellationToken cancellationToken = default);

    /// <summary>How long batches take on the instances of each offering, as measured and refined so far: to be saved, or simulated with. A stand-in's is that of the device it stands in for.</summary>
    /// <returns>A copy for each offering that is measured.</returns>
    IReadOnlyDictionary<string, LatencyProfile> GetProfiles();
}
