namespace MArk.Serving.Provisioning.Planning;

/// <summary>
/// Misses up to an allowed share of a step's requests cost nothing. With C* the capacity at which as many are expected to miss as may, the misses beyond them are
/// E[(X - C)+] - E[(X - C*)+] = E[(min(X, C*) - C)+] for every C up to C*, and none above: so the demand is capped at C*.
/// </summary>
internal static class MissAllowance
{
    /// <summary>Caps a step's demand.</summary>
    /// <param name="demand">Its points, requests per second, in any order.</param>
    /// <param name="probability">The probability of each.</param>
    /// <param name="share">The share of the mean demand that may miss: 0 to 1.</param>
    public static void Grant(Span<double> demand, ReadOnlySpan<double> probability, double share)
    {
        double mean = 0, low = 0, high = 0;
        for (var i = 0; i < demand.Length; i++)
        {
            mean += probability[i] * demand[i];
            high = Math.Max(high, demand[i]);
        }
        for (var halvings = 0; halvings < 50; halvings++)
        {
            var middle = (low + high) / 2;
            var missed = 0.0;
            for (var i = 0; i < demand.Length; i++)
            {
                missed += probability[i] * Math.Max(0, demand[i] - middle);
            }
            (low, high) = missed > share * mean ? (middle, high) : (low, middle);
        }
        foreach (ref var point in demand)
        {
            point = Math.Min(point, high);
        }
    }
}
