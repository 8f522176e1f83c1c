namespace MArk.Serving.Simulation.Tests.Baselines;

/// <summary>A fleet in virtual time whose observations are written down, one slot after the other, and that is planned after each.</summary>
internal sealed class ScriptedFleet(IProvisioningPlanner planner, TimeSpan slot)
{
    private readonly IFleetObserver _observer = (IFleetObserver)planner;

    public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch;

    public TimeSpan Elapsed => Now - DateTimeOffset.UnixEpoch;

    public int Ready { get; set; }

    public int Launching { get; set; }

    public double Capacity { get; init; } = 10;

    public int Min { get; init; }

    public int Max { get; init; } = 1_000_000;

    public int OfferingMax { get; set; } = int.MaxValue;

    public decimal? Spend { get; init; }

    /// <summary>Whether what is planned serves at once.</summary>
    public bool Follows { get; init; }

    public FleetPlan LastPlan { get; } = new(2, 2);

    /// <summary>Asks for a plan, without another slot.</summary>
    public int Plan()
    {
        LastPlan.Clear();
        planner.Plan(
            new ProvisioningContext
            {
                Now = Now,
                Forecast = new WorkloadForecast(2, slot),
                Offerings =
                [
                    new OfferingState(new InstanceOffering { Name = "other" }, 1, 0, 0, TimeSpan.Zero),
                    new OfferingState(new InstanceOffering { Name = "kind", PricePerHour = 2, MaxInstances = OfferingMax }, Capacity, Ready, Launching, TimeSpan.Zero),
                ],
                MinInstances = Min,
                MaxInstances = Max,
                SpilloverPricePerRequest = null,
                ServiceLevel = 0.99,
                MaxHourlySpend = Spend,
            },
            LastPlan);
        Assert.Equal(0, LastPlan.Step(0)[0]);
        Assert.Equal(LastPlan.Step(0)[1], LastPlan.Step(1)[1]);
        var planned = LastPlan.Step(0)[1];
        Ready = Follows ? planned : Ready;
        return planned;
    }

    /// <summary>One slot goes by.</summary>
    public void Observe(double arrivals = 0, double completions = 0, double concurrency = 0)
    {
        _observer.Observe(new FleetObservation(Now, slot, (long)arrivals, (long)completions, concurrency, Ready));
        Now += slot;
    }

    /// <summary>One slot goes by, and then it is planned.</summary>
    public int Step(double arrivals = 0, double completions = 0, double concurrency = 0)
    {
        Observe(arrivals, completions, concurrency);
        return Plan();
    }
}
