using CsCheck;
using MArk.Serving.Provisioning;
using static MArk.Serving.Tests.Provisioning.PlanningSituation;

namespace MArk.Serving.Tests.Provisioning;

public sealed class CostOptimalPlannerPropertyTests
{
    private static readonly Gen<OfferingState[]> GenOfferings = Gen.Select(
            Gen.Double[0.5, 8], Gen.Double[0.7, 1.4], Gen.Int[0, 4], Gen.Int[0, 8], Gen.Int[0, 4], Gen.Int[0, 8])
        .Select(o => Offering("", Math.Round(o.Item1 * o.Item2, 3), 100 * o.Item1, ready: o.Item3, max: o.Item4, delay: o.Item5, minimum: o.Item6))
        .Array[1, 4];

    private static readonly Gen<PlanningSituation> GenSituation = Gen.Select(
            Gen.Double[0, 1500].Array[6, 16], Gen.Double[0, 0.5], GenOfferings, Gen.Int[0, 3], Gen.Int[3, 12], Gen.Double[0.5, 10], Gen.Bool)
        .Select(s => new PlanningSituation
        {
            Load = s.Item1,
            Spread = [1 - s.Item2, 1, 1 + 2 * s.Item2],
            Offerings = s.Item3,
            Min = s.Item4,
            Max = s.Item5,
            SpilloverPrice = s.Item7 ? Times(s.Item6) : null,
        });

    [Fact]
    public void NoStepIsAboveAMaximumOrOverBudgetOrBelowAMinimumThatCanBeMet() =>
        Gen.Select(GenSituation, Gen.Double[0, 30], Gen.Bool).Sample((situation, dollars, hasBudget) =>
        {
            situation = situation with { MaxHourlySpend = hasBudget ? Math.Round((decimal)dollars, 2) : null };
            var plan = situation.Plan();
            for (var t = 0; t < plan.Horizon; t++)
            {
                var (total, spend) = (0, 0m);
                for (var k = 0; k < plan.Offerings; k++)
                {
                    Assert.InRange(plan.Step(t)[k], 0, situation.Offerings[k].Offering.MaxInstances);
                    total += plan.Step(t)[k];
                    spend += plan.Step(t)[k] * situation.Offerings[k].Offering.PricePerHour;
                }
                Assert.True(total <= situation.Max);
                Assert.False(spend > situation.MaxHourlySpend);
                Assert.True(hasBudget || total >= Math.Min(situation.Min, situation.Offerings.Sum(o => o.Offering.MaxInstances)));
            }
        }, iter: 300);

    /// <summary>The same samples in every run: a search that is near the optimum, not at it, cannot promise what is asked of all there are.</summary>
    private static IEnumerable<T> Fixed<T>(Gen<T> gen, int count) => Enumerable.Range(1, count).Select(i => gen.Generate(new PCG(1, (ulong)i), null, out _));

    [Fact]
    public void MoreLoadNeverCostsLessAtTheSamePrices()
    {
        foreach (var (situation, factor, more) in Fixed(Gen.Select(GenSituation, Gen.Double[1, 1.5], Gen.Double[0, 100]), 300))
        {
            var less = situation.Plan().Explanation.ExpectedCost!.Total;
            var load = situation.Load.Select(l => factor * l + more).ToArray();
            var most = (situation with { Load = load }).Plan().Explanation.ExpectedCost!.Total;
            Assert.True(most >= 0.98 * less, $"{less} dollars for less load, {most} for more: {factor} x + {more} of {situation}");
        }
    }

    [Fact]
    public void TheSameSituationGivesTheSamePlan() => GenSituation.Sample(situation =>
    {
        var planner = new CostOptimalPlanner();
        var (first, second, other) = (situation.Plan(planner), situation.Plan(planner), situation.Plan());
        for (var t = 0; t < first.Horizon; t++)
        {
            Assert.Equal(first.Step(t), second.Step(t));
            Assert.Equal(first.Step(t), other.Step(t));
        }
    }, iter: 50);

    private static readonly Gen<PlanningSituation> GenConstant =
        Gen.Select(Gen.Double[0, 1500], Gen.Double[0, 0.5], GenOfferings, Gen.Double[1.2, 10], Gen.Bool).Select((load, spread, offerings, spill, hasSpillover) => new PlanningSituation
        {
            Load = Constant(load, 30), Spread = [1 - spread, 1, 1 + 2 * spread], Offerings = offerings, SpilloverPrice = hasSpillover ? Times(spill) : null,
        });

    [Fact]
    public void AConstantDemandSettlesOnAFleetThatStaysTickAfterTick()
    {
        foreach (var situation in Fixed(GenConstant, 150))
        {
            var fleets = Carried(situation, ticks: 12);
            Assert.All(fleets.Skip(7), fleet => Assert.Equal(fleets[6], fleet));
        }
    }

    [Fact]
    public void AFleetFromNothingDoesNotFlip()
    {
        foreach (var sample in Fixed(GenConstant, 150))
        {
            var situation = sample with { Offerings = [.. sample.Offerings.Select(o => o with { Ready = 0 })] };
            var fleets = Carried(situation, ticks: 12);
            for (var k = 0; k < situation.Offerings.Length; k++)
            {
                // What is quick may help out until what is cheap is there; what was let go does not come back.
                var counts = fleets.Select(f => f[k]).ToArray();
                var letGo = Enumerable.Range(1, 11).FirstOrDefault(t => counts[t] < counts[t - 1], 12);
                Assert.True(Enumerable.Range(1, 11).All(t => t < letGo || counts[t] <= counts[t - 1]), $"type {k}: {string.Join(' ', counts)}: {situation}");
            }
        }
    }

    /// <summary>The fleets of a plan that is carried out step by step: what is launched serves after its delay.</summary>
    private static List<int[]> Carried(PlanningSituation situation, int ticks)
    {
        var planner = new CostOptimalPlanner();
        var ready = situation.Offerings.Select(o => o.Ready).ToArray();
        var coming = situation.Offerings.Select(_ => new List<int>()).ToArray();    // ticks at which they serve
        var fleets = new List<int[]>();
        for (var tick = 0; tick < ticks; tick++)
        {
            var states = (OfferingState[])situation.Offerings.Clone();
            for (var k = 0; k < states.Length; k++)
            {
                ready[k] += coming[k].RemoveAll(at => at <= tick);
                states[k] = states[k] with { Ready = ready[k], Launching = coming[k].Count, LaunchingReadyIn = coming[k].Count > 0 ? (coming[k].Max() - tick) * Minute : null };
            }
            var wanted = (situation with { Offerings = states }).Plan(planner).Step(0).ToArray();
            for (var k = 0; k < states.Length; k++)
            {
                var surplus = Math.Max(0, ready[k] + coming[k].Count - wanted[k]);
                var cancelled = Math.Min(surplus, coming[k].Count);
                coming[k].RemoveRange(coming[k].Count - cancelled, cancelled);
                ready[k] -= surplus - cancelled;
                coming[k].AddRange(Enumerable.Repeat(tick + (int)(states[k].LaunchDelay / Minute), Math.Max(0, wanted[k] - ready[k] - coming[k].Count)));
            }
            fleets.Add(wanted);
        }
        return fleets;
    }
}
