using MArk.Serving.Provisioning;

namespace MArk.Serving.Benchmarks.Planning;

/// <summary>
/// The interval-by-interval greedy planner over a whole horizon. Its plan is the fleet for now, so it is asked at every step, with what its last plan made of the fleet and
/// what is left of the forecast; the forecast comes true.
/// </summary>
internal static class GreedyRollout
{
    /// <summary>Instances that serve or are on their way: type by type, step by step.</summary>
    /// <param name="problem">The problem.</param>
    /// <param name="level">The quantile that is to be covered, as an index: the greedy planner covers one load, the forecast's peak.</param>
    public static int[] Run(PlanCase problem, int level)
    {
        var planner = new GreedyPlanner();
        var (steps, types) = (problem.Forecast.Horizon, problem.Offerings.Length);
        var active = new int[types * steps];
        var states = (OfferingState[])problem.Offerings.Clone();
        for (var t = 0; t < steps; t++)
        {
            var rest = new WorkloadForecast(steps - t, problem.Forecast.Step, problem.Forecast.Levels);
            problem.Forecast.Quantile(level)[t..].CopyTo(rest.Peak);
            var plan = new FleetPlan(steps - t, types);
            planner.Plan((problem with { Forecast = rest, Offerings = states }).Context, plan);
            for (var k = 0; k < types; k++)
            {
                var wanted = plan.Step(0)[k];
                states[k] = states[k] with { Ready = wanted };
                active[k * steps + t] = wanted;
            }
        }
        return active;
    }
}
