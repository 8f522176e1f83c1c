using System.Collections.Immutable;
using System.Globalization;

namespace MArk.Serving.Provisioning.Planning;

/// <summary>What kept a schedule from being cheaper: the bounds that the schedule without them would break.</summary>
internal static class PlanBounds
{
    /// <summary>Whether a schedule is anywhere so near to a bound that it may have been kept by it.</summary>
    public static bool AreTouched(in ProvisioningContext context, FleetProblem problem, FleetSchedule schedule)
    {
        for (var t = 0; t < problem.Steps; t++)
        {
            // An instance may be exchanged for one that is cheaper by little: within the dearest of the budget is near.
            if (schedule.ActiveTotal[t] <= context.MinInstances && context.MinInstances > 0
                || schedule.ActiveTotal[t] >= problem.MaxInstances
                || schedule.Spend[t] + problem.Types.Max(type => type.Billed) > problem.MaxSpend)
            {
                return true;
            }
        }
        for (var k = 0; k < problem.Types.Length; k++)
        {
            if (schedule.Active(k).ContainsAnyInRange(problem.Types[k].Max, int.MaxValue))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>The bounds that the schedule without them breaks, each with what it refused where it refused most.</summary>
    public static ImmutableArray<PlanBound> Of(in ProvisioningContext context, string[] names, FleetProblem problem, FleetSchedule schedule, FleetSchedule unbounded)
    {
        var bounds = ImmutableArray.CreateBuilder<PlanBound>();
        var (fewest, most, dearest) = (0, 0, 0);
        for (var t = 0; t < problem.Steps; t++)
        {
            fewest = unbounded.ActiveTotal[t] < unbounded.ActiveTotal[fewest] ? t : fewest;
            most = unbounded.ActiveTotal[t] > unbounded.ActiveTotal[most] ? t : most;
            dearest = unbounded.Spend[t] > unbounded.Spend[dearest] ? t : dearest;
        }
        if (unbounded.ActiveTotal[fewest] < context.MinInstances)
        {
            var but = problem.MinInstances < context.MinInstances ? Invariant($", of which the other bounds leave room for {problem.MinInstances}") : "";
            bounds.Add(new PlanBound(PlanBoundKind.MinInstances, Invariant($"MinInstances {context.MinInstances}{but}: {unbounded.ActiveTotal[fewest]} would do in step {fewest}")));
        }
        if (unbounded.ActiveTotal[most] > problem.MaxInstances)
        {
            bounds.Add(new PlanBound(PlanBoundKind.MaxInstances, Invariant($"MaxInstances {problem.MaxInstances}: refused {Refused(names, schedule, unbounded, most)} in step {most}")));
        }
        for (var k = 0; k < names.Length; k++)
        {
            var highest = unbounded.Highest(k);
            if (highest > problem.Types[k].Max)
            {
                bounds.Add(new PlanBound(PlanBoundKind.OfferingMaximum, Invariant($"the maximum of {names[k]}, {problem.Types[k].Max}: refused {highest - problem.Types[k].Max}")));
            }
        }
        if (unbounded.Spend[dearest] > problem.MaxSpend)
        {
            bounds.Add(new PlanBound(
                PlanBoundKind.HourlySpend, Invariant($"MaxHourlySpend {context.MaxHourlySpend} dollars: refused {Refused(names, schedule, unbounded, dearest)} in step {dearest}")));
        }
        return bounds.DrainToImmutable();
    }

    private static string Refused(string[] names, FleetSchedule schedule, FleetSchedule unbounded, int step)
    {
        var refused = new List<string>();
        for (var k = 0; k < names.Length; k++)
        {
            if (unbounded.Active(k)[step] - schedule.Active(k)[step] is > 0 and var more)
            {
                refused.Add(Invariant($"{more} x {names[k]}"));
            }
        }
        return refused.Count > 0 ? string.Join(", ", refused) : "nothing that is not there already";
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
