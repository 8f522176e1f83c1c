namespace MArk.Serving.Prediction;

/// <summary>
/// What each member of a mixture counts, at each step and level by itself: one may be the best at the median and another at the 99th percentile (Berrisch and
/// Ziel, Journal of Econometrics 237, 2023). A share goes with the inverse of the recent quantile loss, to a power, as in discounted combination of point
/// forecasts (Bates and Granger 1969; Stock and Watson, Journal of Forecasting 23, 2004).
/// </summary>
/// <remarks>
/// A forecast an hour ahead is judged an hour later. Until then, after a change of the level, those from before it are, which all members missed alike. So forecasts that
/// cannot be judged yet are judged by those of the same origins that can: where, at a shorter distance, a member errs more than the best by far more than is usual for
/// it, it is taken to do so at longer ones.
/// </remarks>
/// <param name="steps">The steps.</param>
/// <param name="members">How many members.</param>
internal sealed class MemberShares(ForecastSteps steps, int members)
{
    private const double Memory = 0.01;     // per interval
    private const double Comparable = 1e-9; // added to losses, so that those of nothing are
    private const double Usual = 2;         // times a member's mean loss: up to there it is scatter, which would only disturb the shares of longer steps

    private static readonly int Quantiles = ForecastTable.Levels.Length;

    private readonly double[] _losses = new double[steps.Count * Quantiles * members];      // [step][level][member]
    private readonly double[] _unjudged = new double[steps.Count * Quantiles * members];    // what the forecasts not judged yet would add to those
    private readonly double[] _nearer = new double[Quantiles * members];                    // the same, of the steps so far
    private readonly double[] _judged = new double[steps.Count];                            // how many intervals
    private readonly double[] _weights = Weights(steps);

    /// <summary>Nothing is known of any.</summary>
    public void Clear()
    {
        Array.Clear(_losses);
        Array.Clear(_unjudged);
        Array.Clear(_judged);
    }

    /// <summary>An interval came: its steps follow, the nearest first.</summary>
    public void Begin() => Array.Clear(_nearer);

    /// <summary>What the interval has shown at the steps so far is taken over to one.</summary>
    public void Reach(int step) => _nearer.CopyTo(_unjudged, step * _nearer.Length);

    /// <summary>Learns the losses that the members had at a step.</summary>
    /// <param name="step">The step.</param>
    /// <param name="losses">The loss of each member at each level, [member][level].</param>
    public void Learn(int step, ReadOnlySpan<double> losses)
    {
        var gain = Math.Max(Memory, 1 / ++_judged[step]);
        var unjudged = _judged[step] > 1 ? _weights[step] : 0;
        for (var level = 0; level < Quantiles; level++)
        {
            var best = double.PositiveInfinity;
            for (var member = 0; member < members; member++)
            {
                best = Math.Min(best, losses[member * Quantiles + level]);
            }
            var at = (step * Quantiles + level) * members;
            for (var member = 0; member < members; member++)
            {
                var loss = losses[member * Quantiles + level];
                ref var mean = ref _losses[at + member];
                _nearer[level * members + member] += unjudged * Math.Max(0, loss - best - Usual * mean);
                mean += gain * (loss - mean);
            }
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
        var at = (step * Quantiles + level) * members;
        var best = double.PositiveInfinity;
        for (var member = 0; member < members; member++)
        {
            shares[member] = _losses[at + member] + _unjudged[at + member] + Comparable;
            best = Math.Min(best, shares[member]);
        }
        var sum = 0.0;
        for (var member = 0; member < members; member++)
        {
            sum += shares[member] = ToTheEighth(best / shares[member]);
        }
        for (var member = 0; member < members; member++)
        {
            shares[member] /= sum;
        }
    }

    /// <summary>
    /// How much what is seen at a step counts at longer ones: as much as the origins for which it is the longest that can be judged would, if they were the last that
    /// are judged there.
    /// </summary>
    private static double[] Weights(ForecastSteps steps)
    {
        var weights = new double[steps.Count];
        for (var step = 0; step + 1 < weights.Length; step++)
        {
            weights[step] = Math.Pow(1 - Memory, steps[step] - 1) - Math.Pow(1 - Memory, steps[step + 1] - 1);
        }
        return weights;
    }

    private static double ToTheEighth(double value)
    {
        var square = value * value;
        var fourth = square * square;
        return fourth * fourth;
    }
}
