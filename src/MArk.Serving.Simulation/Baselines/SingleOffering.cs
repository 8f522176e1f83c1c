using System.Collections.Immutable;
using System.Globalization;

namespace MArk.Serving.Simulation.Baselines;

/// <summary>The one offering that an autoscaler has instances of: finds it in a context, and plans so many of it.</summary>
internal sealed class SingleOffering
{
    private readonly string _name;

    public SingleOffering(string name)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        _name = name;
    }

    /// <summary>Which of the context's offerings it is.</summary>
    /// <exception cref="InvalidProvisioningInputException">It is none of them; names those there are.</exception>
    public int IndexIn(in ProvisioningContext context)
    {
        for (var i = 0; i < context.Offerings.Length; i++)
        {
            if (context.Offerings[i].Offering.Name == _name)
            {
                return i;
            }
        }
        var names = new string[context.Offerings.Length];
        for (var i = 0; i < names.Length; i++)
        {
            names[i] = context.Offerings[i].Offering.Name;
        }
        throw new InvalidProvisioningInputException(nameof(ProvisioningContext.Offerings), $"there is no offering '{_name}'; accepted: {string.Join(", ", names)}.");
    }

    /// <summary>A number of instances within the context's fewest and most.</summary>
    public static int Bounded(in ProvisioningContext context, double instances) =>
        (int)Math.Min(Math.Max(instances, context.MinInstances), context.MaxInstances);

    /// <summary>Plans the same number for every step: an autoscaler knows nothing of later ones.</summary>
    /// <param name="context">What is planned from.</param>
    /// <param name="plan">The buffer.</param>
    /// <param name="index">The offering.</param>
    /// <param name="target">How many it is to have, within the context's bounds.</param>
    /// <param name="wish">How many it would have without them.</param>
    /// <param name="summary">Why.</param>
    public static void Plan(in ProvisioningContext context, FleetPlan plan, int index, int target, double wish, string summary)
    {
        var state = context.Offerings[index];
        var bounds = ImmutableArray.CreateBuilder<PlanBound>();
        if (wish < context.MinInstances)
        {
            bounds.Add(Bound(PlanBoundKind.MinInstances, $"MinInstances {context.MinInstances}, {wish:0} wanted"));
        }
        if (wish > context.MaxInstances)
        {
            bounds.Add(Bound(PlanBoundKind.MaxInstances, $"MaxInstances {context.MaxInstances}, {wish:0} wanted"));
        }
        // What an offering or the budget forbids for a while is wanted still: it is had once it can be.
        var planned = target;
        if (planned > state.Offering.MaxInstances)
        {
            planned = state.Offering.MaxInstances;
            bounds.Add(Bound(PlanBoundKind.OfferingMaximum, $"at most {planned} x {state.Offering.Name}, {target} wanted"));
        }
        if (context.MaxHourlySpend is { } dollars && planned * state.Offering.PricePerHour > dollars)
        {
            planned = (int)(dollars / state.Offering.PricePerHour);
            bounds.Add(Bound(PlanBoundKind.HourlySpend, $"MaxHourlySpend {dollars} dollars, {target} wanted"));
        }
        for (var t = 0; t < plan.Horizon; t++)
        {
            var step = plan.Step(t);
            step.Clear();
            step[index] = planned;
        }
        plan.Explanation = new PlanExplanation { Summary = summary, Bounds = bounds.DrainToImmutable() };
    }

    private static PlanBound Bound(PlanBoundKind kind, FormattableString text) => new(kind, text.ToString(CultureInfo.InvariantCulture));
}
