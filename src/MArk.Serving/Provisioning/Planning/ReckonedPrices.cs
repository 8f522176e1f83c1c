namespace MArk.Serving.Provisioning.Planning;

/// <summary>What a plan reckons with where a price is not given: instances that cost nothing would all be had, and misses that cost nothing would all be taken.</summary>
internal static class ReckonedPrices
{
    private const double FreeOverCheapest = 1e-3;
    private const double FreeOverSpilled = 1e-2;
    private const double Nominal = 1;               // US dollars per hour
    private const double ViolationFactor = 0.3;

    /// <summary>
    /// The price of each offering. A free one is reckoned at a thousandth of the cheapest that is not; where all are free, at a hundredth of what its requests would cost spilled;
    /// where that is free too or there is no spillover, at 1 dollar an hour, so that as few as possible are had.
    /// </summary>
    public static double[] OfInstances(in ProvisioningContext context, ReadOnlySpan<int> usable)
    {
        var prices = new double[usable.Length];
        var cheapest = double.PositiveInfinity;
        for (var i = 0; i < prices.Length; i++)
        {
            prices[i] = (double)context.Offerings[usable[i]].Offering.PricePerHour;
            cheapest = prices[i] > 0 ? Math.Min(cheapest, prices[i]) : cheapest;
        }
        for (var i = 0; i < prices.Length; i++)
        {
            if (prices[i] == 0)
            {
                prices[i] = double.IsFinite(cheapest) ? FreeOverCheapest * cheapest
                    : context.SpilloverPricePerRequest is > 0 and var spilled ? FreeOverSpilled * spilled * 3600 * context.Offerings[usable[i]].Capacity
                    : Nominal;
            }
        }
        return prices;
    }

    /// <summary>
    /// Adds to the price of each spot machine what its interruptions are expected to cost an hour: so many times the launch overhead of what replaces it, price x launch delay, and
    /// the requests that it would have served until that serves, at the price of a miss. It is taken to be fully used, to get nothing more to do from the notice on, and to be
    /// replaced by the other offering for which that is least, as many as have its capacity; by its own where there is no other.
    /// </summary>
    /// <param name="context">What a planner may decide from.</param>
    /// <param name="usable">The offerings that can keep the objective, as indices into the context's.</param>
    /// <param name="pricePerHour">What is reckoned for each of them without interruptions, US dollars.</param>
    /// <param name="missPrice">What a request that misses costs, US dollars.</param>
    public static double[] WithInterruptions(in ProvisioningContext context, ReadOnlySpan<int> usable, ReadOnlySpan<double> pricePerHour, double missPrice)
    {
        double[] prices = [.. pricePerHour];
        for (var i = 0; i < prices.Length; i++)
        {
            ref readonly var state = ref context.Offerings[usable[i]];
            if (state.Offering.InterruptionsPerHour == 0)
            {
                continue;
            }
            var least = double.PositiveInfinity;
            for (var j = 0; j < prices.Length; j++)
            {
                if (j != i || prices.Length == 1)
                {
                    least = Math.Min(least, OfInterruption(state.Capacity, context.Offerings[usable[j]], pricePerHour[j], missPrice));
                }
            }
            prices[i] += state.Offering.InterruptionsPerHour * least;
        }
        return prices;
    }

    /// <summary>What it costs that a capacity is lost and had again of some offering, US dollars.</summary>
    private static double OfInterruption(double capacity, in OfferingState replacement, double pricePerHour, double missPrice)
    {
        var overhead = capacity / replacement.Capacity * pricePerHour * replacement.LaunchDelay.TotalHours;
        return overhead + capacity * replacement.LaunchDelay.TotalSeconds * missPrice;
    }

    /// <summary>
    /// The penalty of a violation where none is given: what the same request costs at full use of the instance that serves it most cheaply, over the allowed share of misses, times
    /// 0.3. At one time that, capacity is added until the load exceeds it with a probability of 1 - service level: the critical fractile. It is less, since misses up to the allowed
    /// share cost nothing, and a forecast's tail is wide.
    /// </summary>
    public static double OfViolation(in ProvisioningContext context, ReadOnlySpan<int> usable, ReadOnlySpan<double> pricePerHour)
    {
        var cheapest = double.PositiveInfinity;
        for (var i = 0; i < usable.Length; i++)
        {
            cheapest = Math.Min(cheapest, pricePerHour[i] / (3600 * context.Offerings[usable[i]].Capacity));
        }
        return ViolationFactor * cheapest / (1 - context.ServiceLevel);
    }
}
