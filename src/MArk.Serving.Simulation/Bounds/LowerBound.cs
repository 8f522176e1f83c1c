namespace MArk.Serving.Simulation;

/// <summary>
/// The cheapest that any policy could serve a demand for, had it known all of it beforehand: what a policy's cost is to be measured against. Machines serve at their raw throughput, are never taken
/// away, and are launched in time, if need be before the first step; what is billed of a launch and the minimum billing are paid, to the end of the minimum even if the demand ends before it. Of all
/// requests, the dearest to serve are missed, as the service level allows; any others may be spilled, where there is spillover.
/// </summary>
/// <remarks>
/// <para>
/// With n_it machines of offering i that serve in step t: least <c>sum Price_i n_it + sum LaunchCost_i s_it + SpillPrice v</c>, with <c>s_it >= n_it - n_i,t-1</c>, <c>n_it >=</c> the sum of s_i over
/// the steps of the minimum billing up to t, <c>w_t >= Requests_t - sum Throughput_i Step n_it</c>, <c>sum w_t &lt;= (1 - ServiceLevel) sum Requests_t + v</c> (the objective of MArk, USENIX ATC 2019,
/// section 4.3, for a demand that is known). The linear programme is solved by GLOP. For whole machines, misses get a price in place of their allowance (Lagrangian relaxation), and the rest is solved
/// exactly by dynamic programming over the counts; where there are too many combinations of counts, or the bound is not within 0.01 % of the best schedule, SCIP goes on with the mixed-integer
/// programme until it is or the time is over. Every bound is valid whenever it was stopped; solvers are exact to a millionth. A search that the time ends may differ from run to run.
/// </para>
/// <para>
/// What the bound does not see, all of which costs a policy more: a step's requests are its mean rate, so bursts within a step are free, and so is the time that requests wait; machines of a kind are all
/// alike and never fail. And one thing that could cost a policy less than <see cref="LowerBoundResult.Integer"/>: a fleet changes between steps only, so a step should be as short as what is billed at
/// the least.
/// </para>
/// </remarks>
public static class LowerBound
{
    private const double GoodEnough = 1e-4;
    private const double Exact = 1e-6;

    private static readonly TimeSpan MaxTimeLimit = TimeSpan.FromDays(30);

    /// <summary>Computes the bounds.</summary>
    /// <param name="problem">The demand and what may serve it.</param>
    /// <param name="timeLimit">How long to search for whole machines; more than zero. The linear programme is solved in any case.</param>
    /// <param name="timeProvider">Measures that time; <see langword="null"/> for the system's.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The bounds, and the best schedule found.</returns>
    /// <exception cref="LowerBoundProblemException">The problem has none: an input is outside its range, or nothing can serve as much as is asked. Says which and what is accepted.</exception>
    /// <exception cref="InvalidOperationException">The solver of the linear programme failed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static LowerBoundResult Solve(LowerBoundProblem problem, TimeSpan timeLimit, TimeProvider? timeProvider = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(problem);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeLimit, TimeSpan.Zero);
        cancellationToken.ThrowIfCancellationRequested();
        BoundInput.Check(problem);
        var model = BoundModel.Of(problem);
        if (model.Total == 0)
        {
            return Result(BoundSchedule.Of(problem, model, [], [])!, 0, 0);
        }
        timeLimit = timeLimit < MaxTimeLimit ? timeLimit : MaxTimeLimit;
        timeProvider ??= TimeProvider.System;
        var divisible = model.WithoutDominated(isWhole: false);
        var fractional = BoundProgram.SolveFractional(divisible, cancellationToken);
        var roundedUp = Array.ConvertAll(fractional.Counts!, row => Array.ConvertAll(row, count => (int)Math.Ceiling(count * (1 - Exact))));
        // A demand too small for the solver to see is served by what serves any.
        var all = Array.ConvertAll(divisible.Types, type => Enumerable.Repeat(type.Max, model.Steps).ToArray());
        var best = BoundSchedule.Of(problem, model, divisible.Types, roundedUp) ?? BoundSchedule.Of(problem, model, divisible.Types, all)!;
        var bound = fractional.Bound;

        var start = timeProvider.GetTimestamp();
        var whole = model.WithoutDominated(isWhole: true);
        if (IsOpen() && CountRecursion.Of(whole) is { } recursion)
        {
            using var timeIsOver = new CancellationTokenSource(timeLimit, timeProvider);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(timeIsOver.Token, cancellationToken);
            var (priced, schedules) = MissPricing.Solve(whole, recursion, fractional.MissPrice, stop.Token);
            cancellationToken.ThrowIfCancellationRequested();
            bound = Math.Max(bound, priced);
            schedules.ForEach(Offer);
        }
        var left = timeLimit - timeProvider.GetElapsedTime(start);
        if (IsOpen() && left > TimeSpan.Zero)
        {
            var solution = BoundProgram.SolveWhole(whole, best.CountsOf(whole.Types), GoodEnough, left, cancellationToken);
            bound = Math.Max(bound, solution.Bound);
            if (solution.Counts is { } counts)
            {
                Offer(Array.ConvertAll(counts, row => Array.ConvertAll(row, count => (int)Math.Round(count))));
            }
        }
        return Result(best, fractional.Bound, bound);

        bool IsOpen() => (double)best.Cost > bound * (1 + GoodEnough);

        void Offer(int[][] counts)
        {
            if (BoundSchedule.Of(problem, model, whole.Types, counts)?.Trimmed() is { } schedule && schedule.Cost < best.Cost)
            {
                best = schedule;
            }
        }
    }

    /// <summary>What one machine serves when batches of the best size run back to back: the highest b / T_b of the sizes whose mean time is within the objective.</summary>
    /// <param name="profile">How long it takes for a batch of each size.</param>
    /// <param name="slo">The latency objective.</param>
    /// <param name="maxBatchSize">The largest batch; at least 1.</param>
    /// <returns>Requests per second; 0 if not even one request ends within the objective, or nothing was measured.</returns>
    public static double RawThroughput(LatencyProfile profile, TimeSpan slo, int maxBatchSize)
    {
        ArgumentNullException.ThrowIfNull(profile);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxBatchSize, 1);
        var most = 0.0;
        for (var b = 1; profile.IsMeasured && b <= Math.Min(maxBatchSize, profile.MaxBatchSize) && profile.Mean(b) <= slo; b++)
        {
            most = Math.Max(most, profile.Throughput(b));
        }
        return most;
    }

    private static LowerBoundResult Result(BoundSchedule best, double fractional, double bound)
    {
        // What solvers round must not turn the order round.
        var integer = Math.Min((decimal)bound, best.Cost);
        return new LowerBoundResult
        {
            Fractional = Math.Min((decimal)fractional, integer),
            Integer = integer,
            BestFound = best.Cost,
            IsOptimal = best.Cost - integer <= (decimal)Exact * best.Cost,
            Schedule = best.Steps,
            Missed = best.Missed,
            Spilled = best.Spilled,
        };
    }
}
