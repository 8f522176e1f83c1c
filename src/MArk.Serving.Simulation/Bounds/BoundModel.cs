namespace MArk.Serving.Simulation;

/// <summary>A kind of machine in a <see cref="BoundModel"/>, in steps and requests.</summary>
/// <param name="Offering">Which of the problem's offerings it is.</param>
/// <param name="Price">What one machine costs a step, US dollars.</param>
/// <param name="LaunchCost">What a launch costs before the machine serves, US dollars.</param>
/// <param name="Capacity">What one machine serves in a step, requests.</param>
/// <param name="Max">The most machines at a time that can be of use.</param>
/// <param name="Initial">Machines that serve at the start.</param>
/// <param name="Minimum">Steps that are billed at least from when the machine serves.</param>
internal readonly record struct BoundType(int Offering, double Price, double LaunchCost, double Capacity, int Max, int Initial, double Minimum)
{
    private const double Tick = 1e-9;

    /// <summary>The whole steps of <see cref="Minimum"/>: a machine serves so long, once launched, since that is billed anyway.</summary>
    public int WholeMinimum => (int)Math.Min(int.MaxValue, Math.Floor(Minimum + Tick));

    /// <summary>The rest of <see cref="Minimum"/>, less than a step: billed where a machine goes after the whole ones. One that must serve no whole step serves more than the rest.</summary>
    public double RestOfMinimum => WholeMinimum > 0 && Minimum - WholeMinimum > Tick ? Minimum - WholeMinimum : 0;

    /// <summary>What a launch costs at a step: with what is billed of the minimum after the last step.</summary>
    /// <param name="stepsLeft">Steps from its first one to the end.</param>
    public double LaunchCostBefore(int stepsLeft) => LaunchCost + Price * Math.Max(0, Minimum - stepsLeft);
}

/// <summary>
/// A <see cref="LowerBoundProblem"/> in numbers: choose n_it machines of type i that serve in step t, so that
/// <c>sum Price_i n_it + sum LaunchCost_i (n_it - n_i,t-1)+ + SpillPrice (sum_t (Demand_t - sum_i Capacity_i n_it)+ - Allowed)+</c> is least, minimum billing paid.
/// </summary>
internal sealed class BoundModel
{
    /// <summary>Requests below this share of all of them are rounding.</summary>
    public const double Negligible = 1e-9;

    private readonly double _peak;

    private BoundModel(BoundType[] types, double[] demand, double allowed, double spillPrice)
    {
        Types = types;
        Demand = demand;
        Allowed = allowed;
        SpillPrice = spillPrice;
        Total = demand.Sum();
        _peak = demand.Max();
    }

    /// <summary>The model of a problem that was checked: its types are the offerings, in their order.</summary>
    public static BoundModel Of(LowerBoundProblem problem)
    {
        double[] demand = [.. problem.Requests];
        var peak = demand.Max();
        var types = new BoundType[problem.Offerings.Count];
        for (var i = 0; i < types.Length; i++)
        {
            var offering = problem.Offerings[i];
            var price = (double)offering.PricePerHour * problem.Step.TotalHours;
            var capacity = offering.Throughput * problem.Step.TotalSeconds;
            types[i] = new BoundType(
                i, price, price * (offering.BilledLaunch / problem.Step), capacity, capacity > 0 ? (int)Math.Min(offering.MaxInstances, CountFor(peak, capacity)) : 0,
                problem.Initial?[i] ?? 0, Math.Max(0, (offering.MinimumBilling - offering.BilledLaunch) / problem.Step));
        }
        return new BoundModel(types, demand, AllowedMisses(problem.ServiceLevel, demand.Sum()), (double?)problem.SpilloverPricePerRequest ?? double.PositiveInfinity);
    }

    /// <summary>How many of so many requests may be missed.</summary>
    public static double AllowedMisses(double serviceLevel, double requests) => (1 - serviceLevel) * requests;

    public BoundType[] Types { get; }

    public int Steps => Demand.Length;

    /// <summary>The requests of each step.</summary>
    public double[] Demand { get; }

    /// <summary>All requests.</summary>
    public double Total { get; }

    /// <summary>Requests that may be missed for nothing.</summary>
    public double Allowed { get; }

    /// <summary>Whether so many requests may be missed for nothing, rounding aside.</summary>
    public bool IsAllowed(double missed) => missed <= Allowed + Negligible * Total;

    /// <summary>Whether every step must be served in full, by machines alone.</summary>
    public bool IsHard => double.IsPositiveInfinity(SpillPrice) && Allowed <= Negligible * Total;

    /// <summary>What a request missed beyond those costs, US dollars; infinite where none may be.</summary>
    public double SpillPrice { get; }

    /// <summary>
    /// The same optimum with fewer types: without those whose machines can each be replaced by some of another type that serve no less and cost no more, to launch, to run and at the least; and
    /// of which there are enough for all of the demand.
    /// </summary>
    /// <param name="isWhole">Whether machines are whole; else a machine may be replaced by a part of another.</param>
    public BoundModel WithoutDominated(bool isWhole)
    {
        var kept = Types.Where(t => t.Max > 0).ToList();
        for (var i = kept.Count - 1; i >= 0; i--)
        {
            // What serves at the start cost no launch, so it is not replaced.
            var type = kept[i];
            if (type.Initial == 0 && kept.Exists(other => other.Offering != type.Offering && Replaces(other, type, isWhole)))
            {
                kept.RemoveAt(i);
            }
        }
        return new BoundModel([.. kept], Demand, Allowed, SpillPrice);
    }

    private bool Replaces(in BoundType other, in BoundType type, bool isWhole)
    {
        // What a whole machine could serve beyond the highest demand is of no use.
        var count = isWhole ? CountFor(Math.Min(type.Capacity, _peak), other.Capacity) : type.Capacity / other.Capacity;
        return other.Max >= CountFor(_peak, other.Capacity)
            && count * other.Price <= type.Price
            && count * other.LaunchCost <= type.LaunchCost
            && count * other.Price * other.Minimum <= type.Price * type.Minimum;
    }

    private static double CountFor(double demand, double capacity) => Math.Ceiling(demand / capacity * (1 - Negligible));
}
