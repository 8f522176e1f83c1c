namespace MArk.Serving.Provisioning.Planning;

/// <summary>Makes a <see cref="FleetProblem"/> of what a planner is given.</summary>
internal static class FleetProblems
{
    /// <summary>The problem of the offerings that can keep the objective.</summary>
    /// <param name="context">What a planner may decide from.</param>
    /// <param name="usable">Those offerings, as indices into the context's.</param>
    /// <param name="pricePerHour">What is reckoned for each of them, US dollars.</param>
    /// <param name="billedPerHour">What of that is billed, US dollars; more than 0.</param>
    /// <param name="misses">What a request that misses costs.</param>
    public static FleetProblem Of(
        in ProvisioningContext context, ReadOnlySpan<int> usable, ReadOnlySpan<double> pricePerHour, ReadOnlySpan<double> billedPerHour, in MissModel misses)
    {
        var forecast = context.Forecast;
        var types = new FleetType[usable.Length];
        for (var i = 0; i < types.Length; i++)
        {
            types[i] = TypeOf(context.Offerings[usable[i]], pricePerHour[i], forecast.Step) with { Billed = billedPerHour[i] * forecast.Step.TotalHours };
        }
        var steps = StepsOf(types, forecast.Horizon);
        var bursts = misses.Bursts;
        var waits = misses.Waiting is null ? [1] : EffectiveDemand.Probability;
        var probability = new double[forecast.Levels.Length * bursts.Length * waits.Length];
        Probabilities(forecast.Levels.AsSpan(), bursts, waits, probability);
        var demand = new double[steps * probability.Length];
        for (var t = 0; t < steps; t++)
        {
            var points = demand.AsSpan(t * probability.Length, probability.Length);
            var left = points;
            for (var level = 0; level < forecast.Levels.Length; level++)
            {
                foreach (var (factor, _) in bursts)
                {
                    Fill(factor * forecast.Quantile(level)[Math.Min(t, forecast.Horizon - 1)], misses.Waiting, left[..waits.Length]);
                    left = left[waits.Length..];
                }
            }
            if (misses.AllowedShare > 0)
            {
                MissAllowance.Grant(points, probability, misses.AllowedShare);
            }
            var coming = ComingAt(t, context, usable);
            foreach (ref var point in points)
            {
                point += coming;
            }
        }
        return new FleetProblem(types, demand, probability, misses.PricePerRequest * forecast.Step.TotalSeconds)
        {
            MinInstances = FleetBounds.Attainable(context.MinInstances, context.MaxInstances, context.MaxHourlySpend, context.Offerings, usable),
            MaxInstances = context.MaxInstances,
            // A sum of prices may come out a rounding above the limit that it is.
            MaxSpend = context.MaxHourlySpend is { } most ? (double)most * forecast.Step.TotalHours * (1 + 1e-9) : double.PositiveInfinity,
        };
    }

    /// <summary>The capacity that is counted as running and is still on its way at a step, requests per second: until it is there, so much more demand is not covered.</summary>
    private static double ComingAt(int step, in ProvisioningContext context, ReadOnlySpan<int> usable)
    {
        var capacity = 0.0;
        foreach (var i in usable)
        {
            ref readonly var state = ref context.Offerings[i];
            if (state.Launching > 0 && step * context.Forecast.Step < (state.LaunchingReadyIn ?? state.LaunchDelay))
            {
                capacity += state.Launching * state.Capacity;
            }
        }
        return capacity;
    }

    private static void Fill(double rate, EffectiveDemand? waiting, Span<double> points)
    {
        if (waiting is null)
        {
            points[0] = rate;
        }
        else
        {
            waiting.Spread(rate, points);
        }
    }

    private static FleetType TypeOf(in OfferingState state, double pricePerHour, TimeSpan step)
    {
        var lead = (int)Math.Ceiling(state.LaunchDelay / step);
        var billed = (int)Math.Min(WorkloadForecast.MaxHorizon, Math.Ceiling(state.Offering.MinimumBilling / step));
        return new FleetType(pricePerHour * step.TotalHours, state.Capacity, lead, Math.Max(1, billed - lead), state.Active, state.Offering.MaxInstances);
    }

    /// <summary>A horizon in which nothing that is launched now would serve is continued, the last step's load taken to last, until it would serve as long as it takes to launch.</summary>
    private static int StepsOf(FleetType[] types, int horizon)
    {
        var quickest = types.Min(t => t.Lead);
        return quickest < horizon ? horizon : Math.Min(2 * WorkloadForecast.MaxHorizon, 2 * quickest);
    }

    /// <summary>Each quantile stands for the levels nearer to it than to another; the lowest and the highest for the tails too.</summary>
    private static void Probabilities(ReadOnlySpan<double> levels, ReadOnlySpan<(double Factor, double Share)> bursts, ReadOnlySpan<double> waits, Span<double> probability)
    {
        var at = 0;
        for (var i = 0; i < levels.Length; i++)
        {
            var from = i == 0 ? 0 : (levels[i - 1] + levels[i]) / 2;
            var to = i == levels.Length - 1 ? 1 : (levels[i] + levels[i + 1]) / 2;
            foreach (var (_, share) in bursts)
            {
                foreach (var wait in waits)
                {
                    probability[at++] = (to - from) * share * wait;
                }
            }
        }
    }
}
