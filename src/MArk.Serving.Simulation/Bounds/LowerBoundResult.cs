using System.Collections.Immutable;

namespace MArk.Serving.Simulation;

/// <summary>The least that a demand can be served for: <see cref="Fractional"/> &lt;= <see cref="Integer"/> &lt;= the optimum of whole machines &lt;= <see cref="BestFound"/>.</summary>
public sealed record LowerBoundResult
{
    /// <summary>The least cost if machines could be divided, US dollars: the optimum of the linear programme.</summary>
    public required decimal Fractional { get; init; }

    /// <summary>What no schedule of whole machines is cheaper than, US dollars: the highest bound that was proved within the time, the optimum itself where <see cref="IsOptimal"/>.</summary>
    public required decimal Integer { get; init; }

    /// <summary>What <see cref="Schedule"/> costs, US dollars.</summary>
    public required decimal BestFound { get; init; }

    /// <summary>Whether <see cref="BestFound"/> is proved to be the optimum, to a millionth of it.</summary>
    public required bool IsOptimal { get; init; }

    /// <summary>The cheapest schedule found: for each step, how many machines of each offering serve, in the order of <see cref="LowerBoundProblem.Offerings"/>.</summary>
    public required IReadOnlyList<ImmutableArray<int>> Schedule { get; init; }

    /// <summary>Requests that the schedule leaves unserved, as the service level allows.</summary>
    public required double Missed { get; init; }

    /// <summary>Requests that the schedule spills.</summary>
    public required double Spilled { get; init; }

    /// <summary>How far the schedule may be from the optimum, as a share of what it costs: 0 where it costs nothing.</summary>
    public double Gap => BestFound > 0 ? (double)((BestFound - Integer) / BestFound) : 0;
}
