using System.Collections.Immutable;
using System.Globalization;

namespace MArk.Serving.Provisioning;

/// <summary>
/// MArk's greedy provisioning (Algorithm 1, USENIX ATC 2019, section 4.3): while some step is not covered, adds the instance that serves the
/// uncovered requests at the lowest cost each. Plans on the forecast's <see cref="WorkloadForecast.Peak"/>. Two errata of the text are
/// mended: a step is uncovered where the load exceeds what is planned (it prints "at most 0"), and the candidates are set up before use.
/// </summary>
/// <remarks>
/// An instance launched now serves from the step its launch delay ends in, so each candidate has its own lead (the paper has one, 5 min,
/// for all); a running one serves from now and costs no launch. The overhead of a launch is its price times its launch delay.
/// Only what must be launched by now is planned: later steps are planned when they come within a lead. Interruptions of spot machines are not priced, as in the paper.
/// </remarks>
public sealed class GreedyPlanner : IProvisioningPlanner
{
    /// <inheritdoc/>
    /// <exception cref="NoUsableOfferingException">No offering can keep the objective; names each.</exception>
    public void Plan(in ProvisioningContext context, FleetPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        UsableOfferings.Of(context.Offerings);
        var load = context.Forecast.Peak;
        var offerings = context.Offerings;
        var step = context.Forecast.Step;
        Span<int> planned = stackalloc int[offerings.Length];
        var total = 0;
        var bounds = ImmutableArray.CreateBuilder<PlanBound>();

        // The first step that a new instance of the quickest usable offering can serve is the paper's tau.
        var tau = int.MaxValue;
        foreach (var offering in offerings)
        {
            if (offering.Capacity > 0)
            {
                tau = Math.Min(tau, Lead(offering, step));
            }
        }
        tau = Math.Min(tau, load.Length - 1);

        // From now to tau only running instances can help: the load to cover at tau is the highest until then, so that what is needed now is not let go.
        var need = 0.0;
        for (var t = 0; t <= tau; t++)
        {
            need = Math.Max(need, load[t]);
        }
        while (true)
        {
            var uncovered = need - Capacity(offerings, planned);
            if (uncovered <= 0 && total >= context.MinInstances)
            {
                break;
            }
            if (total >= context.MaxInstances)
            {
                bounds.Add(Bound(PlanBoundKind.MaxInstances, $"MaxInstances {context.MaxInstances}, {Math.Max(0, uncovered):0.#} requests/s uncovered"));
                break;
            }
            var end = EndOfRun(load, tau, offerings, planned);
            var best = Cheapest(context, planned, tau, end);
            if (best < 0)
            {
                bounds.Add(BudgetRefuses(context, planned)
                    ? Bound(PlanBoundKind.HourlySpend, $"MaxHourlySpend {context.MaxHourlySpend} dollars, {Math.Max(0, uncovered):0.#} requests/s uncovered")
                    : Bound(PlanBoundKind.OfferingMaximum, $"the offerings' maxima, {Math.Max(0, uncovered):0.#} requests/s uncovered"));
                break;
            }
            planned[best]++;
            total++;
        }
        for (var t = 0; t < plan.Horizon; t++)
        {
            planned.CopyTo(plan.Step(t));
        }
        plan.Explanation = Explain(context, tau, need, planned, bounds.DrainToImmutable());
    }

    private static int Lead(in OfferingState offering, TimeSpan step) => (int)Math.Ceiling(offering.LaunchDelay / step);

    private static double Capacity(ReadOnlySpan<OfferingState> offerings, ReadOnlySpan<int> planned)
    {
        var capacity = 0.0;
        for (var i = 0; i < offerings.Length; i++)
        {
            capacity += planned[i] * Math.Max(0, offerings[i].Capacity);
        }
        return capacity;
    }

    /// <summary>The step after the run of uncovered steps that begins at tau.</summary>
    private static int EndOfRun(ReadOnlySpan<double> load, int tau, ReadOnlySpan<OfferingState> offerings, ReadOnlySpan<int> planned)
    {
        var capacity = Capacity(offerings, planned);
        var end = tau + 1;
        while (end < load.Length && load[end] > capacity)
        {
            end++;
        }
        return end;
    }

    /// <summary>The candidate of the lowest cost for each uncovered request it would serve in [tau, end); of equal ones the first.</summary>
    private static int Cheapest(in ProvisioningContext context, ReadOnlySpan<int> planned, int tau, int end)
    {
        var offerings = context.Offerings;
        var load = context.Forecast.Peak;
        var step = context.Forecast.Step;
        var covered = Capacity(offerings, planned);
        var spend = Spend(offerings, planned);
        var best = -1;
        var bestCost = double.PositiveInfinity;
        for (var i = 0; i < offerings.Length; i++)
        {
            var offering = offerings[i];
            if (!(offering.Capacity > 0) || planned[i] >= offering.Offering.MaxInstances || spend + offering.Offering.PricePerHour > context.MaxHourlySpend)
            {
                continue;
            }
            var served = 0.0;
            for (var t = tau; t < end; t++)
            {
                served += Math.Clamp(load[t] - covered, 0, offering.Capacity) * step.TotalSeconds;
            }
            var price = (double)offering.Offering.PricePerHour / 3600;
            var runs = planned[i] < offering.Active;
            var overhead = runs ? 0 : price * offering.LaunchDelay.TotalSeconds;
            var spent = overhead + (end - tau) * step.TotalSeconds * price;
            // Where only the minimum is to be met nothing is uncovered: then the cheapest machine it is. Of equal costs, a running one.
            var cost = served > 0 ? spent / served : spent;
            if (cost < bestCost || (cost == bestCost && runs && planned[best] >= offerings[best].Active))
            {
                (best, bestCost) = (i, cost);
            }
        }
        return best;
    }

    private static decimal Spend(ReadOnlySpan<OfferingState> offerings, ReadOnlySpan<int> planned)
    {
        var dollars = 0m;
        for (var i = 0; i < offerings.Length; i++)
        {
            dollars += planned[i] * offerings[i].Offering.PricePerHour;
        }
        return dollars;
    }

    /// <summary>Whether one more could be had if there were money for it.</summary>
    private static bool BudgetRefuses(in ProvisioningContext context, ReadOnlySpan<int> planned)
    {
        for (var i = 0; i < planned.Length; i++)
        {
            if (context.Offerings[i].Capacity > 0 && planned[i] < context.Offerings[i].Offering.MaxInstances)
            {
                return true;
            }
        }
        return false;
    }

    private static PlanBound Bound(PlanBoundKind kind, FormattableString text) => new(kind, text.ToString(CultureInfo.InvariantCulture));

    private static PlanExplanation Explain(in ProvisioningContext context, int tau, double need, ReadOnlySpan<int> planned, ImmutableArray<PlanBound> bounds)
    {
        var forecast = context.Forecast;
        var candidates = ImmutableArray.CreateBuilder<PlanCandidate>(planned.Length);
        for (var i = 0; i < planned.Length; i++)
        {
            ref readonly var state = ref context.Offerings[i];
            double? dollars = state.Capacity > 0
                ? 1e6 * (double)state.Offering.PricePerHour / 3600 / state.Capacity * (1 + state.LaunchDelay / (forecast.Step * forecast.Horizon))
                : null;
            candidates.Add(new PlanCandidate(state.Offering.Name, state.Active, planned[i], state.Capacity, dollars));
        }
        return new PlanExplanation
        {
            Summary = string.Create(CultureInfo.InvariantCulture, $"{need:0.#} requests/s to cover, the highest peak until a launch serves"),
            Load = new PlannedLoad(forecast.Start + tau * forecast.Step, forecast.Mean[tau], forecast.Quantile(0)[tau], forecast.Quantile(forecast.Levels.Length - 1)[tau]),
            Candidates = candidates.MoveToImmutable(),
            Bounds = bounds,
        };
    }
}

/// <summary>The same fleet always.</summary>
public sealed class StaticPlanner : IProvisioningPlanner
{
    private static readonly PlanExplanation Explanation = new() { Summary = "a static fleet" };

    private readonly int[] _counts;

    /// <summary>A fleet that does not change.</summary>
    /// <param name="counts">The instances of each offering, in the provider's order without standby offerings; what is left out is 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">A count is negative.</exception>
    public StaticPlanner(params int[] counts)
    {
        ArgumentNullException.ThrowIfNull(counts);
        foreach (var count in counts)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(count, nameof(counts));
        }
        _counts = [.. counts];
    }

    /// <inheritdoc/>
    public bool MayBeExceeded => false;

    /// <inheritdoc/>
    public void Plan(in ProvisioningContext context, FleetPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        for (var t = 0; t < plan.Horizon; t++)
        {
            var step = plan.Step(t);
            step.Clear();
            _counts.AsSpan(0, Math.Min(_counts.Length, step.Length)).CopyTo(step);
        }
        plan.Explanation = Explanation;
    }
}

/// <summary>No offering can keep the model's objective.</summary>
public sealed class NoUsableOfferingException : ServingException
{
    /// <summary>No offering can keep the model's objective.</summary>
    /// <param name="offeringNames">The offerings there are.</param>
    public NoUsableOfferingException(IReadOnlyList<string> offeringNames)
        : base($"No offering can keep the latency objective, not even for one request at a time: {string.Join(", ", offeringNames)}. Accepted is an offering whose T_1 is within it.") =>
        OfferingNames = offeringNames;

    /// <summary>The offerings there are.</summary>
    public IReadOnlyList<string> OfferingNames { get; }
}
