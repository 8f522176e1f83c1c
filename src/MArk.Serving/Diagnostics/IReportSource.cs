using MArk.Serving.Engine;
using MArk.Serving.Provisioning;

namespace MArk.Serving.Diagnostics;

/// <summary>A model whose counters can be read. Thread-safe.</summary>
internal interface IReportSource
{
    string ModelName { get; }

    double DeviceTimeScale { get; }

    /// <summary>Whether instances come from a provider.</summary>
    bool HasFleet { get; }

    void Take(Snapshot snapshot);

    IReadOnlyDictionary<string, LatencyProfile> GetProfiles();
}

/// <summary>A model's counters at an instant; all zero at its start.</summary>
internal sealed class Snapshot
{
    public DateTimeOffset At { get; set; }

    public TimeSpan SinceStart { get; set; }

    public long Offered { get; set; }

    public long Succeeded { get; set; }

    public long InTime { get; set; }

    public long Failed { get; set; }

    public long Rejected { get; set; }

    public long Cancelled { get; set; }

    public long Spilled { get; set; }

    /// <summary>Requests that were not admitted, and are not among those offered.</summary>
    public long Invalid { get; set; }

    public long Batches { get; set; }

    public long BatchedRequests { get; set; }

    public int OutOfRotation { get; set; }

    public int Waiting { get; set; }

    public long WaitingBytes { get; set; }

    public LatencyHistogram Latency { get; } = new();

    public LatencyHistogram OldestWait { get; } = new();

    /// <summary>By <see cref="BatchReason"/>.</summary>
    public long[] ByReason { get; } = new long[Enum.GetValues<BatchReason>().Length];

    public FleetStatus Fleet { get; set; } = new();

    public CostSummary Cost { get; set; }
}
