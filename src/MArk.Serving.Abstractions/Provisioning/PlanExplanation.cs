using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace MArk.Serving;

/// <summary>Why a plan is as it is, for a log, a metric or a page to show.</summary>
public sealed record PlanExplanation
{
    /// <summary>Nothing is said.</summary>
    public static PlanExplanation None { get; } = new();

    /// <summary>One sentence; empty if the planner does not say.</summary>
    public string Summary { get; init; } = "";

    /// <summary>The load the plan's first step was chosen for; <see langword="null"/> if it was chosen for none.</summary>
    public PlannedLoad? Load { get; init; }

    /// <summary>What was considered, in the context's order.</summary>
    public ImmutableArray<PlanCandidate> Candidates { get; init; } = [];

    /// <summary>What the plan is expected to cost over the horizon; <see langword="null"/> if the planner does not reckon it.</summary>
    public PlanCost? ExpectedCost { get; init; }

    /// <summary>What kept the plan from being another; empty if nothing did.</summary>
    public ImmutableArray<PlanBound> Bounds { get; init; } = [];

    /// <summary>What was done at once to get from the fleet there is to the plan, or would have been in a dry run; empty if nothing was.</summary>
    public ImmutableArray<PlanAction> Actions { get; init; } = [];

    /// <summary>Whether <see cref="Actions"/> would have been done, and were not: <c>Fleet:DryRun</c>.</summary>
    public bool IsDryRun { get; init; }

    /// <summary>All of it on one line.</summary>
    /// <returns>The line; empty if nothing is said.</returns>
    public override string ToString()
    {
        var text = new StringBuilder(Summary);
        foreach (var action in Actions)
        {
            text.Append(CultureInfo.InvariantCulture, $"; {(IsDryRun ? "dry run, would " : "")}{action}");
        }
        foreach (var bound in Bounds)
        {
            text.Append(CultureInfo.InvariantCulture, $"; bound by {bound.Text}");
        }
        if (Load is { } load)
        {
            text.Append(CultureInfo.InvariantCulture, $"; forecast for {load.At:u}: mean {load.Mean:0.#}, {load.Low:0.#} to {load.High:0.#} requests/s");
        }
        foreach (var c in Candidates)
        {
            text.Append(CultureInfo.InvariantCulture, $"; {c.Planned} x {c.Offering} ({c.Active} active, {c.Capacity:0.#}/s");
            text.Append(c.DollarsPerMillionRequests is { } dollars ? string.Create(CultureInfo.InvariantCulture, $", ${dollars:0.####} a million requests)") : ", cannot keep the objective)");
        }
        if (ExpectedCost is { } cost)
        {
            text.Append(CultureInfo.InvariantCulture, $"; expected over the horizon: ${cost.Instances:0.####} for instances, ${cost.Launches:0.####} for launches, ${cost.Misses:0.####} for misses");
        }
        return text.ToString();
    }
}

/// <summary>The load a plan was made for: the forecast of the first step that an instance launched now could serve.</summary>
/// <param name="At">When that step begins, UTC.</param>
/// <param name="Mean">Its mean rate, requests per second.</param>
/// <param name="Low">The lowest point of its distribution, requests per second.</param>
/// <param name="High">The highest point of its distribution, requests per second.</param>
public sealed record PlannedLoad(DateTimeOffset At, double Mean, double Low, double High);

/// <summary>One offering that a planner considered.</summary>
/// <param name="Offering">Its name.</param>
/// <param name="Active">Instances that serve or are on their way.</param>
/// <param name="Planned">Instances wanted now.</param>
/// <param name="Capacity">The rate one instance sustains, requests per second; 0 if it cannot keep the objective.</param>
/// <param name="DollarsPerMillionRequests">What a million requests cost on an instance that is launched now and fully used over the horizon, US dollars, expected interruptions included; <see langword="null"/> if it cannot keep the objective.</param>
public sealed record PlanCandidate(string Offering, int Active, int Planned, double Capacity, double? DollarsPerMillionRequests);

/// <summary>What a plan is expected to cost over its horizon, US dollars.</summary>
/// <param name="Instances">Instances that serve, or are billed for their minimum; of spot ones what their interruptions are expected to cost as well.</param>
/// <param name="Launches">Instances on their way.</param>
/// <param name="Misses">Requests beyond the capacity: spilled at the price of spillover, or missed at that of a violation.</param>
public sealed record PlanCost(double Instances, double Launches, double Misses)
{
    /// <summary>All of it.</summary>
    public double Total => Instances + Launches + Misses;
}

/// <summary>Something that is done to carry a plan out.</summary>
/// <param name="Kind">What.</param>
/// <param name="Offering">Of which offering.</param>
/// <param name="Count">How many instances; at least 1.</param>
public sealed record PlanAction(PlanActionKind Kind, string Offering, int Count)
{
    /// <summary>The action for people.</summary>
    /// <returns>For example <c>launch 2 x small</c>.</returns>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Verb} {Count} x {Offering}");

    private string Verb => Kind switch
    {
        PlanActionKind.Launch => "launch",
        PlanActionKind.Start => "start",
        PlanActionKind.Stop => "stop",
        _ => "let go",
    };
}

/// <summary>What can be done to carry a plan out.</summary>
public enum PlanActionKind
{
    /// <summary>Instances are asked for.</summary>
    Launch = 0,

    /// <summary>Instances are drained and ended.</summary>
    LetGo,

    /// <summary>Stopped standby instances are started.</summary>
    Start,

    /// <summary>Standby instances are drained and stopped.</summary>
    Stop,
}

/// <summary>Something that kept a plan from being another.</summary>
/// <param name="Kind">What.</param>
/// <param name="Text">Its name, its value and what it refused, for people.</param>
public sealed record PlanBound(PlanBoundKind Kind, string Text);

/// <summary>What can keep a plan from being another.</summary>
public enum PlanBoundKind
{
    /// <summary>The fewest instances allowed.</summary>
    MinInstances = 0,

    /// <summary>The most instances allowed, over all offerings.</summary>
    MaxInstances,

    /// <summary>The most instances of one offering.</summary>
    OfferingMaximum,

    /// <summary>The most that the fleet may cost an hour.</summary>
    HourlySpend,

    /// <summary>How long fewer instances must have been wanted before one is let go.</summary>
    Cooldown,

    /// <summary>
    /// An offering that is not launched for a while, since a launch of it failed, or since its provider took a spot machine of it away and there is another to be had: the planner
    /// is told that no more than there are can be had.
    /// </summary>
    LaunchHold,

    /// <summary>The objective was broken: what was launched beyond the plan is kept until it has been kept for a while.</summary>
    SloBreach,

    /// <summary>A window of scheduled capacity.</summary>
    Schedule,
}
