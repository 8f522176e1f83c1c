namespace MArk.Serving.Prediction;

/// <summary>
/// What each member of a mixture counts, at each step and level by itself: one may be the best at the median and another at the 99th percentile (Berrisch and
/// Ziel, Journal of Econometrics 237, 2023). A share goes with the inverse of the recent quantile loss, to a power, as in discounted combination of point
/// forecasts (Bates and Granger 1969; Stock and Watson, Journal of Forecasting 23, 2004).
/// </summary>
/// <param name="steps">How many steps there are.</param>
/// <param name="members">How many members.</param>
internal sealed class MemberShares(int steps, int members)
{
    private const double Memory = 0.01;     // per interval
    private const double Comparable = 1e-9; // added to losses, so that those of nothing are

    private static readonly int Quantiles = ForecastTable.Levels.Length;

    private readonly double[] _losses = new double[steps * Quantiles * members];    // [step][level][member]
    private readonly double[] _judged = new double[steps];                          // how many intervals

    /// <summary>Nothing is known of any.</summary>
    public void Clear()
    {
        Array.Clear(_losses);
        Array.Clear(_judged);
    }

    /// <summary>An interval that was forecast at a step is judged: the losses of each member follow.</summary>
    public void Begin(int step) => _judged[step]++;

    /// <summary>Learns the losses that a member had at a step, one for each level.</summary>
    public void Learn(int step, int member, ReadOnlySpan<double> losses)
    {
        var gain = Math.Max(Memory, 1 / _judged[step]);
        for (var level = 0; level < Quantiles; level++)
        {
            ref var mean = ref _losses[(step * Quantiles + level) * members + member];
            mean += gain * (losses[level] - mean);
        }
    }

    /// <summary>The last step at or before one at which anything is known.</summary>
    public int Known(int step)
    {
        while (step > 0 && _judged[step] == 0)
        {
            step--;
        }
        return step;
    }

    /// <summary>The members' shares at a step and level; they sum to 1.</summary>
    public void Read(int step, int level, Span<double> shares)
    {
        var losses = _losses.AsSpan((step * Quantiles + level) * members, members);
        var best = double.PositiveInfinity;
        foreach (var loss in losses)
        {
            best = Math.Min(best, loss);
        }
        var sum = 0.0;
        for (var member = 0; member < losses.Length; member++)
        {
            sum += shares[member] = ToTheEighth((best + Comparable) / (losses[member] + Comparable));
        }
        for (var member = 0; member < losses.Length; member++)
        {
            shares[member] /= sum;
        }
    }

    private static double ToTheEighth(double value)
    {
        var square = value * value;
        var fourth = square * square;
        return fourth * fourth;
    }
}
