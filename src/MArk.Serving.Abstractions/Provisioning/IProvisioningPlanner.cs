namespace MArk.Serving;

/// <summary>Decides which machines, and how many, a model should have in every interval of the horizon.</summary>
/// <remarks>Pure and single-threaded. The controller carries out the first step and asks again at the next.</remarks>
public interface IProvisioningPlanner
{
    /// <summary>Plans.</summary>
    /// <param name="context">Forecast, offerings, the running fleet, and what spillover costs.</param>
    /// <param name="plan">The buffer to fill; all counts are zero on entry and must be at least zero on return.</param>
    void Plan(in ProvisioningContext context, FleetPlan plan);

    /// <summary>
    /// Whether the controller may launch more than is planned where the objective is broken, within the guard rails and for a while. <see langword="false"/> for a fleet that is
    /// meant to be just so.
    /// </summary>
    bool MayBeExceeded => true;
}

/// <summary>What a planner may decide from.</summary>
public readonly ref struct ProvisioningContext
{
    /// <summary>Now, UTC.</summary>
    public required DateTimeOffset Now { get; init; }

    /// <summary>The arrival rate of every interval to come.</summary>
    public required WorkloadForecast Forecast { get; init; }

    /// <summary>What can be planned, and how much of it there is; standby offerings are not among it. The plan's columns are in this order.</summary>
    public required ReadOnlySpan<OfferingState> Offerings { get; init; }

    /// <summary>The fewest instances allowed.</summary>
    public required int MinInstances { get; init; }

    /// <summary>The most instances allowed, over all offerings.</summary>
    public required int MaxInstances { get; init; }

    /// <summary>What one spilled request costs, US dollars; <see langword="null"/> where nothing can be spilled.</summary>
    public required double? SpilloverPricePerRequest { get; init; }

    /// <summary>The share of requests that should be answered within the objective: more than 0, less than 1.</summary>
    public required double ServiceLevel { get; init; }

    /// <summary>The most that the fleet may cost an hour, US dollars, instances on their way included; <see langword="null"/> for no limit.</summary>
    public required decimal? MaxHourlySpend { get; init; }

    /// <summary>How much the arrival rate has gone up and down of late within slots, on windows as long as the objective: the squared coefficient of variation beyond that of a Poisson process; at least 0.</summary>
    public double Burstiness { get; init; }
}

/// <summary>One offering as the planner sees it.</summary>
/// <param name="Offering">The offering.</param>
/// <param name="Capacity">The rate one instance sustains with the SLO kept, requests per second; 0 if it cannot keep the SLO.</param>
/// <param name="Ready">Instances that serve.</param>
/// <param name="Launching">Instances on their way.</param>
/// <param name="LaunchDelay">From launch to serving: declared at first, then as measured.</param>
public readonly record struct OfferingState(InstanceOffering Offering, double Capacity, int Ready, int Launching, TimeSpan LaunchDelay)
{
    /// <summary>How one instance serves at its capacity, from its batching profile; <see langword="null"/> where there is none, and then nothing is known of how requests wait.</summary>
    public ServicePoint? Service { get; init; }

    /// <summary>Until the last of those on their way is expected to serve; <see langword="null"/> where that is not known, and then it is taken to be the launch delay.</summary>
    public TimeSpan? LaunchingReadyIn { get; init; }

    /// <summary>Instances that serve or are on their way.</summary>
    public int Active => Ready + Launching;
}

/// <summary>A plan buffer: how many instances of each offering in every interval of the horizon.</summary>
public sealed class FleetPlan
{
    private readonly int[] _counts;

    /// <summary>Makes a buffer.</summary>
    /// <param name="horizon">How many intervals; at least 1.</param>
    /// <param name="offerings">How many offerings; at least 1.</param>
    public FleetPlan(int horizon, int offerings)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(horizon, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(offerings, 1);
        Horizon = horizon;
        Offerings = offerings;
        _counts = new int[horizon * offerings];
    }

    /// <summary>How many intervals.</summary>
    public int Horizon { get; }

    /// <summary>How many offerings.</summary>
    public int Offerings { get; }

    /// <summary>Why the plan is as it is; <see cref="PlanExplanation.None"/> if the planner does not say.</summary>
    public PlanExplanation Explanation { get; set; } = PlanExplanation.None;

    /// <summary>The instances of each offering wanted in an interval.</summary>
    /// <param name="step">The interval; 0 is the one to carry out now.</param>
    /// <returns>One count an offering, writable.</returns>
    public Span<int> Step(int step) => _counts.AsSpan(step * Offerings, Offerings);

    /// <summary>Sets every count to zero and forgets the explanation.</summary>
    public void Clear()
    {
        Array.Clear(_counts);
        Explanation = PlanExplanation.None;
    }
}
