using MArk.Serving.Batching;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 4: a batch is limited by total weight besides number.</summary>
public sealed class WeightTests
{
    private static int[][] Batches(SchedulerDriver driver) =>
        [.. driver.Log.Where(l => l.Contains("dispatch")).Select(l => l.Split('[')[1].Split(']')[0].Split(' ').Select(int.Parse).ToArray())];

    private static SchedulerDriver Waiting(IBatchPolicy? policy, int maxWeight, params int[] weights)
    {
        var driver = new SchedulerDriver(policy, maxBatch: 8, maxQueue: 100, sloMs: 10_000, maxWeight: maxWeight);
        driver.Expect(100);
        foreach (var weight in weights)
        {
            driver.Arrive(weight: weight);
        }
        driver.Ready();
        driver.Finish();
        return driver;
    }

    [Fact]
    public void ABatchIsThePrefixOfTheCandidatesThatIsNotTooHeavy() =>
        Assert.Equal([[0, 1], [2], [3, 4, 5]], Batches(Waiting(null, 10, 4, 5, 9, 3, 3, 4)));

    [Fact]
    public void OneThatFillsTheWeightLeavesAlone() => Assert.Equal([[0], [1], [2]], Batches(Waiting(null, 10, 10, 10, 1)));

    [Fact]
    public void WithoutALimitWeightDoesNotMatter() => Assert.Equal([[0, 1, 2]], Batches(Waiting(null, int.MaxValue, 1000, 2000, int.MaxValue)));

    [Fact]
    public void ABatchFullByWeightIsNotHeldForMore()
    {
        var driver = new SchedulerDriver(new FixedWindowBatchPolicy(8, SchedulerDriver.Ms(50)), maxBatch: 8, sloMs: 10_000, maxWeight: 10);
        driver.Ready();
        driver.Arrive(weight: 6);
        Assert.Empty(driver.Running);
        driver.Arrive(weight: 4);
        Assert.Equal(BatchReason.Full, Assert.Single(driver.Running).Reason);
    }

    [Fact]
    public void ANextOneThatIsTooHeavyForTheBatchMakesItFull()
    {
        var driver = new SchedulerDriver(new FixedWindowBatchPolicy(8, SchedulerDriver.Ms(50)), maxBatch: 8, sloMs: 10_000, maxWeight: 10);
        driver.Ready();
        driver.Arrive(weight: 6);
        driver.Arrive(weight: 7);
        Assert.Equal([[0]], Batches(driver));
    }

    [Fact]
    public void LateRequestsAreLimitedByWeightToo()
    {
        var driver = new SchedulerDriver(maxBatch: 8, maxQueue: 100, maxWeight: 10);
        for (var i = 0; i < 4; i++)
        {
            driver.Arrive(weight: 5);
        }
        driver.Expect(null);
        driver.Advance(1000);
        driver.Ready();
        driver.Finish();
        Assert.Equal([[0, 1], [2, 3]], Batches(driver));
    }

    [Fact]
    public void AdmissionReckonsThatHeavyRequestsFillFewerToABatch()
    {
        // T_b = 5 + b ms, 8 of weight 1 to a batch: 17 are done in 6 + 13 + 13 ms. Of weight 10 one leaves at a time, 6 ms each.
        static bool IsTaken(int weight)
        {
            var driver = new SchedulerDriver(maxBatch: 8, maxQueue: 100, sloMs: 10_000, maxWeight: 10);
            driver.Ready();
            for (var i = 0; i < 17; i++)
            {
                driver.Arrive(59, weight: weight);
            }
            return driver.Arrive(59, WhenUnreachable.Reject, weight: weight).Ending == Ending.None;
        }

        Assert.True(IsTaken(1));
        Assert.False(IsTaken(10));
    }
}
