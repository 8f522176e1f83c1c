namespace MArk.Serving.Simulation.Baselines;

/// <summary>What autoscalers on concurrency are set to, so that they are no straw men: their defaults, 100 and 2, know nothing of the model.</summary>
public static class TargetConcurrency
{
    /// <summary>The share of what one instance can have that it is to have: 0.7, Knative's <c>container-concurrency-target-percentage</c>.</summary>
    public const double Utilization = 0.7;

    /// <summary>
    /// The requests that one instance is to have, waiting or running: <see cref="Utilization"/> x the concurrency at which the service time still meets the objective, which is the
    /// largest batch that ends within it, by the high percentile (<see cref="LatencyProfile.LargestWithin"/>). More at a time would wait for another batch.
    /// </summary>
    /// <param name="profile">How long a batch of each size takes.</param>
    /// <param name="slo">The latency objective.</param>
    /// <param name="maxBatchSize">The largest batch allowed; at least 1.</param>
    /// <returns>The target; more than 0, and not necessarily a whole number.</returns>
    /// <exception cref="ArgumentException">Not even a lone request ends within the objective; says how long it takes.</exception>
    public static double Within(LatencyProfile profile, TimeSpan slo, int maxBatchSize)
    {
        ArgumentNullException.ThrowIfNull(profile);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxBatchSize, 1);
        var largest = profile.LargestWithin(slo, maxBatchSize);
        return largest >= 1
            ? Utilization * largest
            : throw new ArgumentException(FormattableString.Invariant($"A lone request takes up to {profile.High(1).TotalMilliseconds} ms, more than the objective of {slo.TotalMilliseconds} ms."), nameof(profile));
    }

    internal static void ThrowIfNone(double target, [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(target))] string? name = null)
    {
        if (!(target > 0 && double.IsFinite(target)))
        {
            throw new ArgumentOutOfRangeException(name, target, "A target concurrency must be a number of more than 0.");
        }
    }
}
