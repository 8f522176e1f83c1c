using MArk.Serving.Scheduling;

namespace MArk.Serving.Tests.Scheduling;

/// <summary>A lane that has become empty is not taken for that of a tenant who gets the number of its own.</summary>
public sealed class EmptyLaneTests
{
    private sealed class HoldingPolicy : IBatchPolicy
    {
        public bool Holds { get; set; } = true;

        public BatchDecision Decide(in BatchContext context) => Holds ? BatchDecision.WaitForEvent : BatchDecision.Dispatch(context.Deadlines.Length);

        public void Completed(in BatchFeedback feedback)
        {
            // Learns nothing.
        }
    }

    [Fact]
    public void TenantsShareFairlyAfterOneWhoseRequestsWereGivenUpIsForgotten()
    {
        // T_b = 50 + b ms: one at a time does not keep up with what arrives, and so a head that can wait for two at most is given up.
        var policy = new HoldingPolicy();
        var driver = new SchedulerDriver(policy, maxBatch: 4, maxQueue: 1000);
        driver.Ready(LatencyProfile.Linear(SchedulerDriver.Ms(50), SchedulerDriver.Ms(1), 4));
        for (var i = 0; i < 16; i++)
        {
            // Known and without requests: as many as are kept so before any is forgotten. Then they wait again, in a lower class.
            driver.Cancel(driver.Arrive(10_000, WhenUnreachable.ServeLate, tenant: $"t{i}"));
        }
        for (var i = 0; i < 16; i++)
        {
            driver.Arrive(10_000, WhenUnreachable.ServeLate, tenant: $"t{i}");
        }
        var behind = Enumerable.Range(0, 10).Select(_ => driver.Arrive(10_000, WhenUnreachable.ServeLate, priority: RequestPriority.High)).ToList();
        var tight = driver.Arrive(52.5, WhenUnreachable.Reject, priority: RequestPriority.High, tenant: "gone");
        Assert.Equal(RejectionReason.DeadlineUnreachable, tight.Reason);
        Assert.Equal(16, driver.Scheduler.TenantCount);
        behind.ForEach(driver.Cancel);
        Arrive("u", 1);
        Arrive("v", 6);
        Arrive("w", 6);
        policy.Holds = false;
        var order = new List<string?>();
        driver.Dispatched = (_, callers) => order.AddRange(callers.Select(c => c.Tenant));
        driver.Arrive(10_000, WhenUnreachable.ServeLate);
        driver.Advance(54);
        driver.Complete(driver.Running.Single());
        Assert.Equal("uvwvwvwv", string.Concat(order));

        void Arrive(string tenant, int count)
        {
            for (var i = 0; i < count; i++)
            {
                driver.Arrive(10_000, WhenUnreachable.ServeLate, priority: RequestPriority.High, tenant: tenant);
            }
        }
    }

    [Fact]
    public void ALaneIsItsTenantsNotItsNumbers()
    {
        var tenants = new TenantTable(new Dictionary<string, double>());
        var group = new RequestGroup(new RequestTable(), tenants.Nameless);
        var ids = Enumerable.Range(0, 17).Select(i => Hold($"t{i}")).ToArray();
        var lanes = ids.Select(id => group.OpenLane(Terms(id), tenants)).ToArray();
        Assert.Equal(lanes, ids.Select(id => group.OpenLane(Terms(id), tenants)));
        Array.ForEach(ids, tenants.Release);        // one more than are kept: all are forgotten
        var id = Hold("u");
        Assert.Contains(id, ids);
        Assert.Same(tenants[id], group.OpenLane(Terms(id), tenants).Tenant);

        int Hold(string name)
        {
            var id = tenants.IdOf(name);
            tenants.Hold(id, 1);
            return id;
        }

        static RequestTerms Terms(int tenant) => new(TimeSpan.Zero, 0, RequestPriority.Normal, WhenUnreachable.ServeLate, OwnDeadline: false, Tenant: tenant);
    }
}
