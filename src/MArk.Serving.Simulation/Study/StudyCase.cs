namespace MArk.Serving.Simulation;

/// <summary>One question of a cost study: a model, what is asked of it, and what machines cost.</summary>
public sealed record StudyCase
{
    /// <summary>The model.</summary>
    public required StudyModel Model { get; init; }

    /// <summary>Prices by type of machine: one for each of the model's.</summary>
    public required IReadOnlyDictionary<string, StudyPrice> Prices { get; init; }

    /// <summary>The load.</summary>
    public required ArrivalTrace Trace { get; init; }

    /// <summary>How machines are billed and launched.</summary>
    public StudyBilling Billing { get; init; } = new();

    /// <summary>When many spot machines are taken away at once.</summary>
    public IReadOnlyList<SpotLoss> SpotLosses { get; init; } = [];

    /// <summary>Seeds all randomness.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>When requests arrive: the same for every policy.</summary>
    internal IEnumerable<TimeSpan> Arrivals() => Trace.Arrivals(Seed);

    /// <summary>How many requests arrive in each step of the load.</summary>
    /// <param name="step">How long a step is; more than zero.</param>
    /// <returns>The requests, step by step.</returns>
    public IReadOnlyList<double> RequestsBy(TimeSpan step)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(step, TimeSpan.Zero);
        var requests = new double[(int)Math.Ceiling(Trace.Duration / step)];
        foreach (var arrival in Arrivals())
        {
            requests[(int)(arrival / step)]++;
        }
        return requests;
    }

    /// <summary>What one machine serves of the type that is cheapest for a request on demand, at full batches: requests per second.</summary>
    /// <returns>Its throughput; more than 0.</returns>
    /// <exception cref="StudyInputException">A price is missing, or no type can keep the objective.</exception>
    public double CheapestThroughput() => CapacityOf(ByPricePerRequest(OnDemand())[0]);

    /// <summary>The largest batch that any type was measured at.</summary>
    internal int MaxBatchSize => Model.Machines.Max(m => m.Profile.MaxBatchSize);

    /// <summary>The model's machines as they are bought on demand.</summary>
    internal IReadOnlyList<SimulatedInstance> OnDemand() => [.. Model.Machines.Select(m => Machine(m, m.Type, InstanceMarket.OnDemand, PriceOf(m).OnDemand, 0))];

    /// <summary>The model's machines as spot machines, and on demand.</summary>
    /// <exception cref="StudyInputException">No type is to be had as a spot machine.</exception>
    internal IReadOnlyList<SimulatedInstance> SpotAndOnDemand()
    {
        SimulatedInstance[] spot =
        [
            .. Model.Machines.Where(m => PriceOf(m).Spot is not null)
                .Select(m => Machine(m, $"{m.Type} spot", InstanceMarket.Spot, PriceOf(m).Spot!.Value, PriceOf(m).InterruptionsPerHour)),
        ];
        return spot.Length > 0 ? [.. spot, .. OnDemand()]
            : throw new StudyInputException("prices", $"no type of model '{Model.Name}' has a spot price: {string.Join(", ", Model.Machines.Select(m => m.Type))}.");
    }

    /// <summary>The types as instances of a managed endpoint, which costs from the moment it serves.</summary>
    /// <exception cref="StudyInputException">No type is to be had as one.</exception>
    internal IReadOnlyList<SimulatedInstance> Managed()
    {
        SimulatedInstance[] managed =
        [
            .. Model.Machines.Where(m => PriceOf(m).Managed is not null).Select(m =>
            {
                var instance = Machine(m, $"{m.Type} managed", InstanceMarket.OnDemand, PriceOf(m).Managed!.Value, 0);
                return instance with { Offering = instance.Offering with { LaunchDelay = Billing.ManagedLaunch }, UnbilledLaunch = Billing.ManagedLaunch };
            }),
        ];
        return managed.Length > 0 ? managed
            : throw new StudyInputException("prices", $"no type of model '{Model.Name}' has a price as a managed endpoint: {string.Join(", ", Model.Machines.Select(m => m.Type))}.");
    }

    /// <summary>Of some machines those that can keep the objective, cheapest for a request at full batches first.</summary>
    /// <exception cref="StudyInputException">None can; names each with its T_1.</exception>
    internal IReadOnlyList<SimulatedInstance> ByPricePerRequest(IReadOnlyList<SimulatedInstance> machines)
    {
        SimulatedInstance[] able = [.. machines.Where(m => CapacityOf(m) > 0)];
        return able.Length > 0 ? [.. able.OrderBy(m => (double)m.Offering.PricePerHour / CapacityOf(m))]
            : throw new StudyInputException(
                Model.Name, FormattableString.Invariant($"no type can keep the objective of {Model.Slo.TotalMilliseconds} ms: {string.Join(", ", machines.Select(m => FormattableString.Invariant($"T_1 of {m.Offering.Name} is {m.Profile.Mean(1).TotalMilliseconds} ms")))}."));
    }

    /// <summary>What a machine serves at the best batch size within the objective, requests per second.</summary>
    internal double CapacityOf(SimulatedInstance machine) => LowerBound.RawThroughput(machine.Profile, Model.Slo, MaxBatchSize);

    /// <summary>The mean rate of the first ten minutes, requests per second: what a fleet is begun for.</summary>
    internal double FirstRate()
    {
        var slots = Math.Max(1, (int)Math.Min(Trace.Counts.Count, TimeSpan.FromMinutes(10) / Trace.SlotLength));
        return Trace.Counts.Take(slots).Sum() / (slots * Trace.SlotLength.TotalSeconds);
    }

    private SimulatedInstance Machine(StudyMachine machine, string name, InstanceMarket market, decimal price, double interruptions) => new(
        new InstanceOffering
        {
            Name = name,
            Market = market,
            PricePerHour = price,
            OnDemandPricePerHour = PriceOf(machine).OnDemand,
            InterruptionsPerHour = interruptions,
            LaunchDelay = Billing.Pending + Billing.Load,
            MinimumBilling = Billing.Minimum,
        },
        machine.Profile)
    {
        UnbilledLaunch = Billing.Pending,
    };

    private StudyPrice PriceOf(StudyMachine machine) => Prices.TryGetValue(machine.Type, out var price) ? price
        : throw new StudyInputException("prices", $"there is none for type '{machine.Type}' of model '{Model.Name}'; there are: {string.Join(", ", Prices.Keys.Order(StringComparer.Ordinal))}.");
}

/// <summary>How machines are billed and launched.</summary>
public sealed record StudyBilling
{
    /// <summary>From the launch until a machine runs, which is not billed. Default 40 s.</summary>
    public TimeSpan Pending { get; init; } = TimeSpan.FromSeconds(40);

    /// <summary>From then until the model serves, which is billed. Default 60 s.</summary>
    public TimeSpan Load { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The shortest time that is billed. Default 60 s.</summary>
    public TimeSpan Minimum { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>From the decision to launch an instance of a managed endpoint until it serves. Default 6 min.</summary>
    public TimeSpan ManagedLaunch { get; init; } = TimeSpan.FromMinutes(6);
}
