namespace MArk.Serving.Simulation;

/// <summary>
/// Bounds a <see cref="BoundModel"/> by putting a price on misses in place of their allowance (Lagrangian relaxation): at every price, the least cost with misses paid, less the allowance paid, is no
/// more than the optimum. The price of the highest bound is searched for.
/// </summary>
internal static class MissPricing
{
    private const int MaxPrices = 100;
    private const double Close = 1e-8;

    /// <summary>Searches for the price.</summary>
    /// <param name="model">What to bound.</param>
    /// <param name="recursion">Its recursion.</param>
    /// <param name="guess">A price to begin with, US dollars a request.</param>
    /// <param name="stop">Ends the search with what it has.</param>
    /// <returns>The highest bound, US dollars, at least 0; and schedules that are near the optimum, some of which may miss too much.</returns>
    public static (double Bound, List<int[][]> Schedules) Solve(BoundModel model, CountRecursion recursion, double guess, CancellationToken stop)
    {
        var schedules = new List<int[][]>();
        var bound = 0.0;
        // What is within the allowance, at the lowest price that was tried; what is beyond it, at the highest: to have nothing, at no price, is.
        PricedCost? within = null;
        var beyond = new PricedCost(0, 0, model.Total);
        if (model.IsHard || double.IsFinite(model.SpillPrice))
        {
            if (Try(model.SpillPrice) is not { } most)
            {
                return (0, schedules);
            }
            if (model.IsHard || most.Missed >= model.Allowed)
            {
                // No price is higher than that of spillover, and there all of the allowance is used: the bound is the optimum.
                Keep(model.SpillPrice);
                return (bound, schedules);
            }
        }
        var price = guess > 0 ? guess : model.Types.Max(t => (t.Price + t.LaunchCost) / t.Capacity);
        for (var tried = 0; tried < MaxPrices; tried++)
        {
            if (within is { } w && (tried > 0 || price >= w.MissPrice))
            {
                // The bound is a concave function of the price, below both lines: it is highest where they cross, or the search goes on there.
                price = (w.Machines - beyond.Machines) / (beyond.Missed - w.Missed);
                var highest = beyond.Machines + price * (beyond.Missed - model.Allowed);
                if (highest - bound <= Close * highest || price <= beyond.MissPrice || price >= w.MissPrice)
                {
                    break;
                }
            }
            if (Try(price) is null)
            {
                break;
            }
            price *= 2;     // until the misses are within the allowance
        }
        if (within is { } last)
        {
            Keep(last.MissPrice);
        }
        if (double.IsFinite(model.SpillPrice) && beyond.MissPrice > 0)
        {
            Keep(beyond.MissPrice);
        }
        return (bound, schedules);

        PricedCost? Try(double at)
        {
            if (recursion.Least(at, stop) is not { } cost || !double.IsFinite(cost.Cost))
            {
                return null;
            }
            bound = Math.Max(bound, model.IsHard ? cost.Cost : cost.Cost - at * model.Allowed);
            if (!model.IsAllowed(cost.Missed))
            {
                beyond = cost;
            }
            else
            {
                within = cost;
            }
            return cost;
        }

        void Keep(double at)
        {
            if (recursion.Schedule(at, stop) is { } schedule)
            {
                schedules.Add(schedule);
            }
        }
    }
}
