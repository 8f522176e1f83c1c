namespace MArk.Serving.Simulation.Tests.Study;

/// <summary>The policies over one world. A request takes 100 ms alone on one type of machine.</summary>
public sealed class StudyPoliciesTests
{
    private static StudyCase Case(ArrivalTrace trace) => new()
    {
        Model = new StudyModel
        {
            Name = "m",
            Slo = TimeSpan.FromMilliseconds(600),
            ServiceLevel = 0.98,
            MeanRate = 18,
            Machines = [new StudyMachine("cpu", LatencyProfile.Linear(TimeSpan.FromMilliseconds(80), TimeSpan.FromMilliseconds(20), 8))],
            Function = new StudyFunction(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(3), 0.00002m),
        },
        Prices = new Dictionary<string, StudyPrice> { ["cpu"] = new(0.1m) { Spot = 0.04m, Managed = 0.14m } },
        Trace = trace,
    };

    private static ArrivalTrace Step => Workloads.Surge(TimeSpan.FromHours(1), 18, times: 2, at: TimeSpan.FromMinutes(20));

    [Fact]
    public void EveryPolicyServesACalmLoadWithinTheObjective()
    {
        var question = Case(Workloads.Constant(TimeSpan.FromMinutes(30), 18));
        foreach (var policy in StudyPolicies.All)
        {
            var result = policy.Run(question);
            Assert.True(result.SloAttainment >= 0.95, $"{policy.Name}: {result.SloAttainment}");
            Assert.Equal(0, result.Rejected);
            Assert.True(result.TotalCost > 0);
        }
    }

    [Fact]
    public void SageMakersFleetFollowsAStepMinutesLate()
    {
        // 10 requests/s an instance, of which half are wanted: 4 instances for 18/s, 8 for 36/s; three points of a minute, and six minutes to serve.
        var history = StudyPolicies.Find("sagemaker").Run(Case(Step)).History;
        Assert.All(history.Take(20), step => Assert.Equal(4, step.Serving[0], 6));
        Assert.All(history.Skip(20).Take(7), step => Assert.Equal(4, step.Serving[0], 6));
        Assert.InRange(history[32].Serving[0], 8, 9);
        Assert.All(history, step => Assert.InRange(step.Serving[0], 3.99, 9));
    }

    [Fact]
    public void OursServesTheStepByItsFunctionUntilTheMachinesAreThereAndCostsLess()
    {
        var (ours, managed) = (StudyPolicies.Find("mark-serving").Run(Case(Step)), StudyPolicies.Find("sagemaker").Run(Case(Step)));
        Assert.True(ours.SloAttainment >= 0.98, $"{ours.SloAttainment}");
        Assert.True(ours.TotalCost < managed.TotalCost, $"{ours.TotalCost} of {managed.TotalCost}");
        Assert.True(StudyPolicies.Find("mark-serving-spot").Run(Case(Step)).TotalCost < ours.TotalCost);
    }

    [Fact]
    public void NoPolicyIsCheaperThanTheBoundOfWhatItServes()
    {
        var question = Case(Step) with { Model = Case(Step).Model with { Function = null } };
        var requests = question.RequestsBy(TimeSpan.FromMinutes(1));
        foreach (var name in new[] { "mark-serving", "mark", "hpa", "static-peak", "clairvoyant" })
        {
            var result = StudyPolicies.Find(name).Run(question);
            var bound = LowerBound.Solve(
                new LowerBoundProblem
                {
                    Requests = requests,
                    Step = TimeSpan.FromMinutes(1),
                    Offerings = [new BoundOffering("cpu", 0.1m, 8 / 0.24, TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(60))],
                    ServiceLevel = Math.Min(0.98, result.SloAttainment),
                },
                TimeSpan.FromSeconds(1));
            Assert.True(result.TotalCost >= bound.Integer, $"{name}: {result.TotalCost} of {bound.Integer}");
        }
    }
}
