namespace MArk.Serving.Provisioning.Planning;

/// <summary>Makes a <see cref="FleetProblem"/> of what a planner is given.</summary>
internal static class FleetProblems
{
    /// <summary>The problem of the offerings that can keep the objective.</summary>
    /// <param name="context">What a planner may decide from.</param>
    /// <param name="usable">Those offerings, as indices into the context's.</param>
    /// <param name="missPrice">What a request beyond the capacity costs, US dollars.</param>
    public static FleetProblem Of(in ProvisioningContext context, ReadOnlySpan<int> usable, double missPrice)
    {
        var forecast = context.Forecast;
        var stepHours = forecast.Step.TotalHours;
        var types = new FleetType[usable.Length];
        for (var i = 0; i < types.Length; i++)
        {
            types[i] = TypeOf(context.Offerings[usable[i]], forecast.Step);
        }
        Span<double> probability = stackalloc double[forecast.Levels.Length];
        Probabilities(forecast.Levels.AsSpan(), probability);
        var demand = new double[forecast.Horizon * probability.Length];
        for (var level = 0; level < probability.Length; level++)
        {
            var quantile = forecast.Quantile(level);
            for (var t = 0; t < quantile.Length; t++)
            {
                demand[t * probability.Length + level] = quantile[t];
            }
        }
        return new FleetProblem(types, demand, probability, missPrice * forecast.Step.TotalSeconds)
        {
            MinInstances = context.MinInstances,
            MaxInstances = context.MaxInstances,
        };
    }

    private static FleetType TypeOf(in OfferingState state, TimeSpan step)
    {
        var lead = (int)Math.Ceiling(state.LaunchDelay / step);
        var billed = (int)Math.Ceiling(state.Offering.MinimumBilling / step);
        return new FleetType((double)state.Offering.PricePerHour * step.TotalHours, state.Capacity, lead, Math.Max(1, billed - lead), state.Active, state.Offering.MaxInstances);
    }

    /// <summary>Each quantile stands for the levels nearer to it than to another; the lowest and the highest for the tails too.</summary>
    private static void Probabilities(ReadOnlySpan<double> levels, Span<double> probability)
    {
        for (var i = 0; i < levels.Length; i++)
        {
            var from = i == 0 ? 0 : (levels[i - 1] + levels[i]) / 2;
            var to = i == levels.Length - 1 ? 1 : (levels[i] + levels[i + 1]) / 2;
            probability[i] = to - from;
        }
    }
}
