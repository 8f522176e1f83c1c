using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>Issue 3, feature 5: named tenants share a priority class fairly.</summary>
public sealed class TenantTests
{
    private static string Order(SchedulerDriver driver) =>
        string.Concat(driver.Log.Where(l => l.Contains("dispatch")).SelectMany(l => l.Split('[')[1].Split(']')[0].Split(' '))
            .Select(n => driver.Callers[int.Parse(n)].Tenant ?? "-"));

    private static SchedulerDriver Waiting(int maxBatch = 4, int maxQueue = 1000, double sloMs = 100_000, params (string Name, double Share)[] shares)
    {
        var driver = new SchedulerDriver(maxBatch: maxBatch, maxQueue: maxQueue, sloMs: sloMs, shares: shares.ToDictionary(s => s.Name, s => s.Share));
        driver.Expect(1);
        return driver;
    }

    private static void Arrive(SchedulerDriver driver, string? tenant, int count, int weight = 1, int group = 0)
    {
        for (var i = 0; i < count; i++)
        {
            driver.Arrive(tenant: tenant, weight: weight, group: group);
        }
    }

    [Fact]
    public void TenantsThatWaitTakeTurnsWhoeverCameFirst()
    {
        var driver = Waiting();
        Arrive(driver, "a", 6);
        Arrive(driver, "b", 2);
        Arrive(driver, null, 2);
        driver.Ready();
        driver.Finish();
        Assert.Equal("ab-ab-aaaa", Order(driver));
    }

    [Fact]
    public void ATenantOfMoreWeightIsServedAsMuchMore()
    {
        var driver = Waiting(shares: ("a", 3));
        Arrive(driver, "a", 9);
        Arrive(driver, "b", 9);
        driver.Ready();
        driver.Finish();
        Assert.Equal((6, 2), (Order(driver)[..8].Count(t => t == 'a'), Order(driver)[..8].Count(t => t == 'b')));
    }

    [Fact]
    public void HeavyRequestsCountForWhatTheyWeigh()
    {
        var driver = Waiting();
        Arrive(driver, "a", 4, weight: 3);
        Arrive(driver, "b", 12, weight: 1);
        driver.Ready();
        driver.Finish();
        Assert.Equal("abbbabbbabbbabbb", Order(driver));
    }

    [Fact]
    public void WithinATenantTheDeadlineDecides()
    {
        var driver = Waiting();
        driver.Arrive(9000, tenant: "a");
        driver.Arrive(8000, tenant: "a");
        driver.Arrive(7000, tenant: "b");
        driver.Ready();
        Assert.Contains("[1 2 0]", driver.Log[^1]);
    }

    [Fact]
    public void AHigherClassGoesFirstWhateverItsTenantWasServed()
    {
        var driver = Waiting();
        Arrive(driver, "a", 4);
        driver.Ready();
        Arrive(driver, "b", 4);
        driver.Arrive(tenant: "a", priority: RequestPriority.High);
        driver.Finish();
        Assert.Equal("aaaaabbbb", Order(driver));
    }

    [Fact]
    public void TenantsOfDifferentKeysTakeTurnsByTheBatch()
    {
        var driver = Waiting();
        Arrive(driver, "a", 12, group: 1);
        Arrive(driver, "b", 8, group: 2);
        driver.Ready();
        driver.Finish();
        Assert.Equal("aaaabbbbaaaabbbbaaaa", Order(driver));
    }

    [Fact]
    public void TimeThatATenantDidNotWaitInIsNotMadeUpFor()
    {
        var driver = Waiting();
        Arrive(driver, "b", 1);
        Arrive(driver, "a", 40);
        driver.Ready();
        for (var i = 0; i < 5; i++)
        {
            driver.Advance(9);
            driver.Complete(Assert.Single(driver.Running));
        }
        var before = Order(driver).Length;
        Arrive(driver, "b", 12);
        driver.Finish();
        Assert.Equal("abababab", Order(driver)[before..(before + 8)]);
    }

    [Fact]
    public void ALightTenantsRequestIsTakenHoweverLongAHeavyOnesBacklogIs()
    {
        // T_4 = 9 ms: 400 of a heavy tenant take 900 ms.
        var driver = Waiting(sloMs: 2000);
        driver.Ready();
        Arrive(driver, "heavy", 400);
        var heavy = driver.Arrive(500, WhenUnreachable.Reject, tenant: "heavy");
        Assert.Equal(Ending.None, heavy.Ending);    // by its deadline it goes before those of its own tenant
        var light = driver.Arrive(25, WhenUnreachable.Reject, tenant: "light");
        Assert.Equal(Ending.None, light.Ending);
        while (light.Ending == Ending.None)
        {
            driver.Advance(9);
            driver.Complete(Assert.Single(driver.Running));
        }
        Assert.InRange(driver.Now.TotalMilliseconds, 0, 25);
    }

    [Fact]
    public void AHeavyTenantsRequestIsJudgedBehindItsOwnBacklog()
    {
        var driver = Waiting(sloMs: 2000);
        driver.Ready();
        Arrive(driver, "light", 1);
        Arrive(driver, "heavy", 400);
        // Behind 400 of its own with earlier deadlines there is no way to be done by then.
        Assert.Equal(Ending.None, driver.Arrive(2001, WhenUnreachable.Reject, tenant: "heavy").Ending);
        driver = Waiting(sloMs: 500);
        driver.Ready();
        Arrive(driver, "heavy", 400);
        Assert.Equal(RejectionReason.DeadlineUnreachable, driver.Arrive(500, WhenUnreachable.Reject, tenant: "heavy").Reason);
    }

    [Fact]
    public void AFullQueueIsSharedToo()
    {
        var driver = Waiting(maxQueue: 10);
        Arrive(driver, "heavy", 10);
        var light = Enumerable.Range(0, 6).Select(_ => driver.Arrive(tenant: "light")).ToArray();
        Assert.Equal(5, light.Count(c => c.Ending == Ending.None));
        Assert.Equal(RejectionReason.QueueFull, light[5].Reason);
        Assert.Equal(5, driver.Callers.Count(c => c.Tenant == "heavy" && c.Ending == Ending.None));
        Assert.Equal(10, driver.Scheduler.WaitingCount);
    }

    [Fact]
    public void NamesThatComeAndGoDoNotAddUp()
    {
        var driver = Waiting();
        driver.Ready();
        for (var i = 0; i < 2000; i++)
        {
            driver.Arrive(tenant: $"t{i}");
            driver.Advance(9);
            driver.Complete(Assert.Single(driver.Running));
        }
        Assert.InRange(driver.Scheduler.TenantCount, 0, 40);
    }

    [Fact]
    public void ATenantThatLeavesAndComesBackGainsNothingByIt()
    {
        // One keeps four waiting, the other has four at a time and none while they run.
        var driver = Waiting();
        Arrive(driver, "s", 4, group: 1);
        Arrive(driver, "b", 4, group: 2);
        driver.Ready();
        for (var i = 0; i < 40; i++)
        {
            driver.Advance(9);
            var batch = Assert.Single(driver.Running);
            var tenant = driver.Callers[int.Parse(driver.Log[^1].Split('[')[1].Split(' ', ']')[0])].Tenant;
            if (tenant == "s")
            {
                Arrive(driver, "s", 4, group: 1);
                driver.Complete(batch);
            }
            else
            {
                driver.Complete(batch);
                Arrive(driver, "b", 4, group: 2);
            }
        }
        // It is not there when each batch is made up, so it gets every other one at most, and that it gets.
        Assert.InRange(Order(driver).Count(t => t == 's'), 78, 86);
    }

    [Fact]
    public void OneTenantAloneAllocatesNothing()
    {
        var scheduler = new ModelScheduler(new SchedulerSettings
        {
            ModelName = "m", Slo = TimeSpan.FromSeconds(1), MaxBatchSize = 4, MaxQueueLength = 100, CreatePolicy = _ => new MArk.Serving.Batching.NoBatchingPolicy(),
        });
        scheduler.OnInstanceReady(TimeSpan.Zero, 1, 0, 4, 1, LatencyProfile.Linear(TimeSpan.FromMilliseconds(1), TimeSpan.Zero, 4));
        var now = TimeSpan.Zero;
        string?[] names = ["a", null, "b"];
        Run(200);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Run(2000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Run(int count)
        {
            for (var i = 0; i < count; i++)
            {
                now += TimeSpan.FromMilliseconds(1);
                scheduler.OnArrival(now, new RequestTerms(
                    now + TimeSpan.FromSeconds(1), 0, RequestPriority.Normal, WhenUnreachable.ServeLate, OwnDeadline: false, Tenant: scheduler.TenantOf(names[i % 3])));
                var batch = scheduler.Commands[0].Batch!;
                scheduler.ClearCommands();
                scheduler.OnBatchCompleted(now, batch);
                scheduler.ClearCommands();
            }
        }
    }

    [Fact]
    public void WhatIsJudgedAnewKeepsItsTenantsTurn()
    {
        var driver = Waiting(maxBatch: 2);
        Arrive(driver, "a", 6, group: 1);
        var instance = driver.Ready();
        Arrive(driver, "b", 1, group: 2);
        driver.Complete(Assert.Single(driver.Running));     // a was served two, as much as b is taken for; a waits for longer
        driver.Busy(instance, true);                        // b is next, and all that waits is judged again
        driver.Busy(instance, false);
        driver.Finish();
        Assert.Equal("aaaabaa", Order(driver));
    }

    [Fact]
    public void LateRequestsTakeTurnsToo()
    {
        var driver = Late();
        Arrive(driver, "a", 6);
        Arrive(driver, "b", 2);
        driver.Busy(0, false);
        driver.Finish();
        Assert.Equal("ababaaaa", Order(driver));
    }

    [Fact]
    public void LateRequestsOfSeveralKeysTakeTurnsToo()
    {
        var driver = Late();
        Arrive(driver, "a", 6, group: 1);
        Arrive(driver, "b", 2, group: 2);
        driver.Busy(0, false);
        driver.Finish();
        Assert.Equal("aabbaaaa", Order(driver));
    }

    [Fact]
    public void OfTheLateTheTenantThatHasTheMostMakesRoom()
    {
        var driver = Late(maxQueue: 4);
        var light = driver.Arrive(tenant: "b");
        Arrive(driver, "a", 3);
        Assert.Equal(Ending.None, driver.Arrive(tenant: "a").Ending);
        Assert.Equal((Ending.None, RejectionReason.QueueFull), (light.Ending, driver.Callers[1].Reason));
    }

    // All that arrives is late: T_1 = 6 ms, and the objective is 1.
    private static SchedulerDriver Late(int maxQueue = 1000)
    {
        var driver = new SchedulerDriver(maxBatch: 2, maxQueue: maxQueue, sloMs: 1);
        driver.Busy(driver.Ready(), true);
        return driver;
    }
}
