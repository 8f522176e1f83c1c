using CsCheck;
using MArk.Serving.Provisioning.Planning;

namespace MArk.Serving.Tests.Provisioning.Planning;

/// <summary>The search against every schedule there is, each reckoned machine by machine.</summary>
public sealed class ScheduleSearchTests
{
    private const int Steps = 3;
    private const int Most = 3;

    private static readonly Gen<FleetType> GenType = Gen.Select(Gen.Double[0.5, 3], Gen.Double[0.7, 1.4], Gen.Int[0, 2], Gen.Int[1, 3], Gen.Int[0, 2])
        .Select((units, price, lead, minimum, running) => new FleetType(units * price, units, lead, minimum, running, Most));

    private static readonly Gen<(FleetType[] Types, double[] Demand, double MissPrice)> GenTiny = Gen.Select(GenType.Array[2], Gen.Double[0, 6].Array[2 * Steps], Gen.Double[1.2, 8]);

    [Fact]
    public void TinyProblemsAreSolvedToTheOptimum()
    {
        const int Count = 300;
        var sum = 0.0;
        for (var i = 0; i < Count; i++)
        {
            // The same problems in every run: a local search cannot promise to find the optimum of all there are.
            var tiny = GenTiny.Generate(new PCG(1, (ulong)i), null, out _);
            var problem = new FleetProblem(tiny.Types, tiny.Demand, [0.5, 0.5], tiny.MissPrice);
            var found = Reckon(tiny, new ScheduleSearch(problem, 90_000, 1).Run().All);
            var best = Schedules().Min(s => Reckon(tiny, s));
            Assert.InRange(found, best * (1 - 1e-9), best * 1.02);
            sum += found / best;
        }
        Assert.InRange(sum / Count, 1 - 1e-9, 1.0005);
    }

    [Fact]
    public void TheProblemsOwnCostIsThatOfItsMachines() => GenTiny.Sample(tiny =>
    {
        var problem = new FleetProblem(tiny.Types, tiny.Demand, [0.5, 0.5], tiny.MissPrice);
        foreach (var schedule in Schedules())
        {
            var cost = Reckon(tiny, schedule);
            if (double.IsFinite(cost))
            {
                Assert.Equal(cost, problem.Cost(schedule).Total, 1e-6);
            }
        }
    }, iter: 10);

    [Fact]
    public void WhatIsActiveServesAtLeastAsPlanned() => Gen.Select(GenType, Gen.Int[0, 5].Array[12]).Sample((type, row) =>
    {
        var problem = new FleetProblem([type], new double[12], [1], 1);
        for (var t = 0; t < type.Lead; t++)
        {
            row[t] = Math.Min(row[t], t == 0 ? type.Running : row[t - 1]);
        }
        var (active, serving) = (new int[12], new int[12]);
        problem.Active(0, row, active);
        problem.Serving(0, active, serving);
        // More, where one is let go while another is on its way: then neither is done.
        Assert.All(serving.Zip(row), p => Assert.True(p.First >= p.Second));
    });

    private static IEnumerable<int[]> Schedules()
    {
        var combinations = (int)Math.Pow(Most + 1, 2 * Steps);
        for (var i = 0; i < combinations; i++)
        {
            var schedule = new int[2 * Steps];
            for (int j = 0, rest = i; j < schedule.Length; j++, rest /= Most + 1)
            {
                schedule[j] = rest % (Most + 1);
            }
            yield return schedule;
        }
    }

    /// <summary>Machine by machine: each pays its launch when it begins to serve, and its steps; infinite if one would be there too early or go too soon.</summary>
    private static double Reckon((FleetType[] Types, double[] Demand, double MissPrice) tiny, ReadOnlySpan<int> schedule)
    {
        var cost = 0.0;
        for (var k = 0; k < 2; k++)
        {
            var type = tiny.Types[k];
            var row = schedule.Slice(k * Steps, Steps);
            var machines = new Queue<int>(Enumerable.Repeat(int.MinValue, type.Running));   // when each began, the oldest first
            for (var t = 0; t < Steps; t++)
            {
                while (machines.Count > row[t])
                {
                    var began = machines.Dequeue();
                    if (began != int.MinValue && t - began < type.MinimumUp)
                    {
                        return double.PositiveInfinity;
                    }
                }
                while (machines.Count < row[t])
                {
                    if (t < type.Lead)
                    {
                        return double.PositiveInfinity;
                    }
                    machines.Enqueue(t);
                    cost += type.Price * type.Lead;
                }
                cost += type.Price * machines.Count;
            }
        }
        for (var t = 0; t < Steps; t++)
        {
            var capacity = tiny.Types[0].Capacity * schedule[t] + tiny.Types[1].Capacity * schedule[Steps + t];
            cost += tiny.MissPrice * 0.5 * (Math.Max(0, tiny.Demand[2 * t] - capacity) + Math.Max(0, tiny.Demand[2 * t + 1] - capacity));
        }
        return cost;
    }
}
