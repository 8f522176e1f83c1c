using MArk.Serving.Provisioning;
using MArk.Serving.Provisioning.Planning;

namespace MArk.Serving.Benchmarks.Planning;

/// <summary>What planners' schedules for one problem cost, by the problem's own statement, whatever they thought of it.</summary>
internal sealed class PlanRating
{
    private readonly PlanCase _case;
    private readonly FleetPlan _plan;

    public PlanRating(PlanCase planCase)
    {
        _case = planCase;
        _plan = new FleetPlan(planCase.Forecast.Horizon, planCase.Offerings.Length);
        double[] prices = [.. planCase.Offerings.Select(o => (double)o.Offering.PricePerHour)];
        Problem = FleetProblems.Of(planCase.Context, [.. Enumerable.Range(0, prices.Length)], prices, prices, new MissModel(planCase.SpilloverPricePerRequest));
    }

    public FleetProblem Problem { get; }

    public FleetPlan Plan(IProvisioningPlanner planner)
    {
        _plan.Clear();
        planner.Plan(_case.Context, _plan);
        return _plan;
    }

    /// <summary>What the schedule that a planner returns costs, US dollars.</summary>
    public double CostOf(IProvisioningPlanner planner)
    {
        var plan = Plan(planner);
        var active = new int[_case.Offerings.Length * plan.Horizon];
        for (var t = 0; t < plan.Horizon; t++)
        {
            for (var k = 0; k < _case.Offerings.Length; k++)
            {
                active[k * plan.Horizon + t] = plan.Step(t)[k];
            }
        }
        return CostOf(active);
    }

    /// <summary>What the greedy planner's fleet costs, which covers the highest point of the forecast; and at the point at which it costs least, known only afterwards.</summary>
    public (double AtPeak, double AtBest) CostOfGreedy()
    {
        var costs = Enumerable.Range(0, Problem.Points).Select(level => CostOf(GreedyRollout.Run(_case, level))).ToArray();
        return (costs[^1], costs.Min());
    }

    private double CostOf(ReadOnlySpan<int> active)
    {
        var serving = new int[active.Length];
        var accounted = new int[Problem.Steps];
        var cancelled = 0.0;    // launches that were taken back are paid for as long as they were on their way
        for (var k = 0; k < Problem.Types.Length; k++)
        {
            var wanted = active.Slice(k * Problem.Steps, Problem.Steps);
            var row = serving.AsSpan(k * Problem.Steps, Problem.Steps);
            Problem.Serving(k, wanted, row);
            Problem.Active(k, row, accounted);
            for (var t = 0; t < accounted.Length; t++)
            {
                cancelled += Problem.Types[k].Price * Math.Max(0, wanted[t] - accounted[t]);
            }
        }
        return Problem.Cost(serving).Total + cancelled;
    }
}
