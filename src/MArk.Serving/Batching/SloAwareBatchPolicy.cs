namespace MArk.Serving.Batching;

/// <summary>
/// The default: the two conditions of MArk's batching (ATC 2019, section 4.2; with W the wait and T_b the time of a batch of b,
/// <c>W + T_b &lt;= RTmax</c> and <c>W + T_b &lt;= b / mu</c>), applied to the time that remains to the oldest deadline and to the
/// instance's own profile. It has no window to tune.
/// </summary>
/// <remarks>
/// It holds for a batch of b only if the requests missing from it are expected in time, at the rate of late and no more quickly than they came since the oldest of these did, the batch still meets the oldest deadline
/// (high percentile), it serves requests faster than one at a time would and faster than leaving now, and leaving now at the
/// present size could not keep up with this instance's share of the arrivals. Otherwise it sends the size of the highest
/// throughput that meets the oldest deadline.
/// </remarks>
public sealed class SloAwareBatchPolicy : IBatchPolicy
{
    /// <inheritdoc/>
    public BatchDecision Decide(in BatchContext context)
    {
        var profile = context.Profile;
        var candidates = context.Deadlines.Length;
        var remaining = context.EarliestDeadline - context.StartsAt;
        var fitting = Math.Max(1, profile.LargestWithin(remaining, candidates));
        if (fitting < candidates || context.IsFull || !profile.IsMeasured)
        {
            return BatchDecision.Dispatch(profile.NextBatchSize(fitting));
        }
        return TryHold(context, out var until)
            ? BatchDecision.WaitUntil(until)
            : BatchDecision.Dispatch(profile.NextBatchSize(candidates));
    }

    /// <inheritdoc/>
    public void Completed(in BatchFeedback feedback)
    {
        // The profile, which the scheduler refines, is all it learns from.
    }

    private static bool TryHold(in BatchContext context, out TimeSpan until)
    {
        until = default;
        var profile = context.Profile;
        var count = context.Deadlines.Length;
        var alone = profile.Mean(1).TotalSeconds;
        var throughputNow = profile.Throughput(count);
        var remaining = (context.EarliestDeadline - context.Now).TotalSeconds;
        var untilStart = (context.StartsAt - context.Now).TotalSeconds;
        var rate = ExpectedRate(context);
        if (context.OtherIdleInstances > 0 || rate / context.ReadyInstances <= throughputNow)
        {
            return false;
        }
        for (var size = count + 1; size <= Math.Min(context.MaxBatchSize, profile.MaxBatchSize); size++)
        {
            var wait = (size - count) / rate;
            if (Math.Max(wait, untilStart) + profile.High(size).TotalSeconds > remaining)
            {
                return false;
            }
            var total = wait + profile.Mean(size).TotalSeconds;
            if (total <= size * alone && size / total > throughputNow)
            {
                // Not beyond the instant at which this size would miss the oldest deadline.
                var latest = context.EarliestDeadline - profile.High(size);
                var expected = context.Now + TimeSpan.FromSeconds(wait) + new TimeSpan(1);
                until = expected < latest ? expected : latest;
                return until > context.Now;
            }
        }
        return false;
    }

    /// <summary>
    /// How quickly more are expected: as the rate of late was, but no more quickly than they have come since the oldest of these did. After a load that has ended nobody comes, and what is held
    /// for them would be until its deadline.
    /// </summary>
    private static double ExpectedRate(in BatchContext context)
    {
        var waited = (context.Now - context.HeadArrival).TotalSeconds;
        return waited > 0 ? Math.Min(context.ArrivalRate, (context.QueueLength + 1) / waited) : context.ArrivalRate;
    }
}
