using MArk.Serving.Engine;
using MArk.Serving.Provisioning;
using MArk.Serving.Scheduling;

namespace MArk.Serving.Diagnostics;

/// <summary>What a model has done so far. Changed and read under the engine's lock.</summary>
internal sealed class ServingCounters
{
    public long Offered;
    public long Succeeded;
    public long InTime;
    public long Failed;
    public long Rejected;
    public long Cancelled;
    public long Spilled;
    public long Batches;
    public long BatchedRequests;
    public long FailedBatches;

    /// <summary>What the fleet's monitor judges by; nothing where there is no fleet.</summary>
    public OutcomeCounter? Outcomes { get; set; }

    public LatencyHistogram Latency { get; } = new();

    /// <summary>How long the oldest request of each batch had waited.</summary>
    public LatencyHistogram OldestWait { get; } = new();

    /// <summary>Batches, by why they left.</summary>
    public long[] ByReason { get; } = new long[Enum.GetValues<BatchReason>().Length];

    public void Count<TIn, TOut>(BatchWork<TIn, TOut> work, DispatchedBatch batch)
    {
        Batches++;
        BatchedRequests += batch.Count;
        ByReason[(int)batch.Reason]++;
        OldestWait.Add(batch.OldestWait);
        for (var i = 0; i < work.Count; i++)
        {
            CountAnswer(work, i);
        }
    }

    public void CountSpilled<TIn, TOut>(BatchWork<TIn, TOut> work)
    {
        Spilled++;
        CountAnswer(work, 0);
    }

    private void CountAnswer<TIn, TOut>(BatchWork<TIn, TOut> work, int index)
    {
        if (work.InTime(index))
        {
            Succeeded++;
            InTime++;
            Latency.Add(work.Latency(index));
            Outcomes?.Keep(work.Arrival(index), work.Deadline(index));
        }
        else if (work.IsAnsweredWell(index))
        {
            Succeeded++;
            Latency.Add(work.Latency(index));
        }
        else if (work.IsAnsweredBadly(index))
        {
            Failed++;
            Outcomes?.TakeBack(work.Arrival(index), work.Deadline(index));
        }
    }
}
