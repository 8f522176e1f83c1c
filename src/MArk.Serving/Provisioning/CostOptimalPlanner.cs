using MArk.Serving.Provisioning.Planning;

namespace MArk.Serving.Provisioning;

/// <summary>
/// The fleet of the lowest expected cost over the horizon: instances, launches, and requests that cannot be answered in time, which are spilled at the price of spillover, or
/// where there is none pay a penalty beyond the share that may miss. MArk's provisioning problem (USENIX ATC 2019, section 4.3) on the forecast's distribution in place of a
/// point: capacity is added while the misses it is expected to save are worth more than it costs.
/// </summary>
/// <remarks>
/// Whole instances of different offerings, each with its own launch delay, during which it is paid for and serves nothing, and minimum billing; what runs or is on its way costs
/// no launch. Where a batching profile is known, the share of requests that wait for too long at a load is priced as well (M/D/c); it is reckoned for the offering that serves a
/// request most cheaply. Bursts within a step are priced by <see cref="ProvisioningContext.Burstiness"/>, the load being on or off as in an interrupted Poisson process. The search is local and its effort bounded, 90,000 steps of moves looked at; it is deterministic. A spillover price of 0 is taken for none,
/// and a spillover target to have room for all that is spilled.
/// <para>
/// A spot machine is reckoned at its price and what its interruptions are expected to cost: <see cref="InstanceOffering.InterruptionsPerHour"/> times the launch of what replaces
/// it and the requests that miss until that serves. A budget is spent on the price alone.
/// </para>
/// <para>A budget or a maximum goes before the minimum where they contradict each other.</para>
/// </remarks>
public sealed class CostOptimalPlanner : IProvisioningPlanner
{
    private const long Effort = 90_000;
    private const int Seed = 1;

    private readonly CostOptimalPlannerOptions _options;
    private EffectiveDemand? _waiting;

    /// <summary>A planner.</summary>
    /// <param name="options">Its settings.</param>
    /// <exception cref="ArgumentException">A setting is outside what is accepted; names it.</exception>
    public CostOptimalPlanner(CostOptimalPlannerOptions? options = null)
    {
        _options = options ?? new CostOptimalPlannerOptions();
        _options.Validate();
    }

    /// <inheritdoc/>
    /// <exception cref="NoUsableOfferingException">No offering can keep the objective; names each.</exception>
    /// <exception cref="InvalidProvisioningInputException">Something in the context cannot be planned from; says what and what is accepted.</exception>
    public void Plan(in ProvisioningContext context, FleetPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        PlanningInput.Check(context, plan);
        var usable = UsableOfferings.Of(context.Offerings);
        var billed = ReckonedPrices.OfInstances(context, usable);
        var missPrice = context.SpilloverPricePerRequest is > 0 and var spilled ? spilled
            : _options.ViolationPenaltyPerRequest ?? ReckonedPrices.OfViolation(context, usable, billed);
        var prices = ReckonedPrices.WithInterruptions(context, usable, billed, missPrice);
        var misses = new MissModel(missPrice, context.SpilloverPricePerRequest > 0 ? 0 : 1 - context.ServiceLevel, WaitingAt(context, usable, prices), context.Burstiness);
        var problem = FleetProblems.Of(context, usable, prices, billed, misses);
        var schedule = new ScheduleSearch(problem, Effort, Seed).Run();
        for (var i = 0; i < usable.Length; i++)
        {
            var active = schedule.Active(i);
            for (var t = 0; t < plan.Horizon; t++)
            {
                plan.Step(t)[usable[i]] = active[t];
            }
        }
        plan.Explanation = PlanExplainer.Explain(context, usable, problem, schedule, () => new ScheduleSearch(problem.WithoutBounds(), Effort, Seed).Run());
    }

    /// <summary>The wait on the offering that serves a request most cheaply: one that does not depend on what runs, so that the plan does not follow its own choice about.</summary>
    private EffectiveDemand? WaitingAt(in ProvisioningContext context, int[] usable, double[] prices)
    {
        var cheapest = 0;
        for (var i = 1; i < usable.Length; i++)
        {
            if (prices[i] / context.Offerings[usable[i]].Capacity < prices[cheapest] / context.Offerings[usable[cheapest]].Capacity)
            {
                cheapest = i;
            }
        }
        if (context.Offerings[usable[cheapest]].Service is not { } service)
        {
            return null;
        }
        return _waiting = _waiting?.Service == service ? _waiting : new EffectiveDemand(service);
    }
}
