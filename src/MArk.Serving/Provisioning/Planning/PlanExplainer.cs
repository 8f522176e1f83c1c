using System.Collections.Immutable;
using System.Globalization;

namespace MArk.Serving.Provisioning.Planning;

/// <summary>Says why a schedule is as it is.</summary>
internal static class PlanExplainer
{
    /// <summary>The explanation of a schedule.</summary>
    /// <param name="context">What it was planned from.</param>
    /// <param name="usable">The problem's types, as indices into the context's offerings.</param>
    /// <param name="problem">The problem.</param>
    /// <param name="schedule">The schedule.</param>
    /// <param name="planWithoutBounds">The schedule if there were no bounds: asked for only where the schedule touches one.</param>
    public static PlanExplanation Explain(in ProvisioningContext context, ReadOnlySpan<int> usable, FleetProblem problem, FleetSchedule schedule, Func<FleetSchedule> planWithoutBounds)
    {
        var names = new string[usable.Length];
        for (var i = 0; i < names.Length; i++)
        {
            names[i] = context.Offerings[usable[i]].Offering.Name;
        }
        var cost = problem.Cost(schedule.All);
        var missPrice = problem.MissPrice / context.Forecast.Step.TotalSeconds;
        var missed = context.SpilloverPricePerRequest > 0 ? "spilled" : "missed beyond the allowed share";
        return new PlanExplanation
        {
            Summary = string.Create(CultureInfo.InvariantCulture, $"{schedule.ActiveTotal[0]} instances, the cheapest fleet at ${missPrice:0.########} a request {missed}"),
            Load = LoadOf(context.Forecast, problem),
            Candidates = CandidatesOf(context, usable, problem, schedule),
            ExpectedCost = new PlanCost(cost.Instances, cost.Launches, cost.Misses),
            Bounds = PlanBounds.AreTouched(context, problem, schedule) ? PlanBounds.Of(context, names, problem, schedule, planWithoutBounds()) : [],
        };
    }

    private static PlannedLoad LoadOf(WorkloadForecast forecast, FleetProblem problem)
    {
        var t = Math.Min(problem.Types.Min(type => type.Lead), forecast.Horizon - 1);
        return new PlannedLoad(forecast.Start + t * forecast.Step, forecast.Mean[t], forecast.Quantile(0)[t], forecast.Quantile(forecast.Levels.Length - 1)[t]);
    }

    private static ImmutableArray<PlanCandidate> CandidatesOf(in ProvisioningContext context, ReadOnlySpan<int> usable, FleetProblem problem, FleetSchedule schedule)
    {
        var candidates = ImmutableArray.CreateBuilder<PlanCandidate>(context.Offerings.Length);
        var stepSeconds = context.Forecast.Step.TotalSeconds;
        for (var i = 0; i < context.Offerings.Length; i++)
        {
            ref readonly var state = ref context.Offerings[i];
            var k = usable.IndexOf(i);
            var planned = k < 0 ? 0 : schedule.Active(k)[0];
            double? dollars = k < 0 ? null : 1e6 * problem.CostOfACapacity(k) / stepSeconds;
            candidates.Add(new PlanCandidate(state.Offering.Name, state.Active, planned, state.Capacity, dollars));
        }
        return candidates.MoveToImmutable();
    }
}
