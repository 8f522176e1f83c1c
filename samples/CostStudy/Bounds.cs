using MArk.Serving.Simulation;

namespace CostStudy;

/// <summary>The cheapest that any policy could be that knows every request beforehand.</summary>
internal static class Bounds
{
    private static readonly TimeSpan Step = TimeSpan.FromMinutes(1);

    public static LowerBoundResult Of(StudyCase question, bool withSpot, TimeSpan limit)
    {
        var offerings = new List<BoundOffering>();
        foreach (var machine in question.Model.Machines)
        {
            var price = question.Prices[machine.Type];
            var throughput = LowerBound.RawThroughput(machine.Profile, question.Model.Slo, machine.Profile.MaxBatchSize);
            if (throughput > 0)
            {
                offerings.Add(new BoundOffering(machine.Type, withSpot ? price.Spot ?? price.OnDemand : price.OnDemand, throughput, question.Billing.Load, question.Billing.Minimum));
            }
        }
        var spill = question.Model.Function is { } function && function.Warm <= question.Model.Slo ? function.PricePerRequest : (decimal?)null;
        return LowerBound.Solve(
            new LowerBoundProblem { Requests = question.RequestsBy(Step), Step = Step, Offerings = offerings, ServiceLevel = question.Model.ServiceLevel, SpilloverPricePerRequest = spill }, limit);
    }
}
