namespace MArk.Serving.Simulation.Reporting;

/// <summary>A study: what several policies came to in the same world.</summary>
public sealed record StudyReport
{
    /// <summary>What it is called; not empty.</summary>
    public required string Title { get; init; }

    /// <summary>What was simulated, so that a reader can do it again: the trace and its scale, the model, the prices, the command line. A blank line begins a paragraph.</summary>
    public required string Description { get; init; }

    /// <summary>The model's latency objective; more than zero.</summary>
    public required TimeSpan Slo { get; init; }

    /// <summary>The share of requests that should be answered within it: more than 0, less than 1. A policy below it is shown and marked, and is not compared by cost.</summary>
    public required double ServiceLevel { get; init; }

    /// <summary>The policies, in the order in which they are shown; at least one, each of a name of its own.</summary>
    public required IReadOnlyList<PolicyOutcome> Policies { get; init; }

    /// <summary>The least that any policy could cost; <see langword="null"/> if that was not computed.</summary>
    public StudyBound? Bound { get; init; }
}

/// <summary>What one policy of a study came to.</summary>
/// <param name="Name">What it is called; not empty.</param>
/// <param name="Description">How it decides, and its settings; may be empty.</param>
/// <param name="Result">What the simulation came to.</param>
public sealed record PolicyOutcome(string Name, string Description, SimulationResult Result);

/// <summary>The cheapest any policy could be with full knowledge of the arrivals, US dollars.</summary>
/// <param name="Fractional">With fractions of machines: the linear programme.</param>
/// <param name="Integer">With whole machines: the integer programme.</param>
public sealed record StudyBound(decimal Fractional, decimal Integer);
