namespace MArk.Serving.Simulation;

/// <summary>A kind of machine that <see cref="LowerBound"/> may use.</summary>
/// <param name="Name">Its name, unique within a problem.</param>
/// <param name="PricePerHour">What one machine costs, US dollars per hour; 0 to 1e6.</param>
/// <param name="Throughput">
/// What one machine serves when it never waits, requests per second: <see cref="LowerBound.RawThroughput"/>. 0 to 1e12; with 0 it is not used.
/// </param>
/// <param name="BilledLaunch">The part of a launch that is billed before the machine serves, as the time to load a model is: at least zero, at most 365 days. Time that is not billed, as pending is, is left out.</param>
/// <param name="MinimumBilling">The shortest time a machine is billed for, <paramref name="BilledLaunch"/> included: at least zero, at most 365 days.</param>
/// <param name="MaxInstances">The most machines of this kind at a time; at least 0.</param>
public sealed record BoundOffering(
    string Name, decimal PricePerHour, double Throughput, TimeSpan BilledLaunch, TimeSpan MinimumBilling, int MaxInstances = int.MaxValue);

/// <summary>A demand that is known beforehand, and what may serve it.</summary>
public sealed record LowerBoundProblem
{
    /// <summary>The requests of each step: 1 to 100,000 steps, each with a finite number of at least 0 and at most 1e12. A fraction is an expectation.</summary>
    public required IReadOnlyList<double> Requests { get; init; }

    /// <summary>How long a step is; more than zero, at most a day. The fleet changes between steps only.</summary>
    public required TimeSpan Step { get; init; }

    /// <summary>The kinds of machines; at least one that serves something.</summary>
    public required IReadOnlyList<BoundOffering> Offerings { get; init; }

    /// <summary>The share of all requests that is to be served; more than 0, at most 1.</summary>
    public required double ServiceLevel { get; init; }

    /// <summary>
    /// What a request costs that a spillover target serves in time, US dollars; 0 to 1e6. <see langword="null"/> where there is none, or none that is in time. As many as wanted may be spilled.
    /// </summary>
    public decimal? SpilloverPricePerRequest { get; init; }

    /// <summary>
    /// Machines of each offering that serve when the first step begins: their launch and their minimum are paid, and they may go at once. In the order of <see cref="Offerings"/>, each 0 to its
    /// maximum; <see langword="null"/> for none.
    /// </summary>
    public IReadOnlyList<int>? Initial { get; init; }
}
