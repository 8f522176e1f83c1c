namespace MArk.Serving.Provisioning;

/// <summary>The settings of a <see cref="CostOptimalPlanner"/>.</summary>
public sealed record CostOptimalPlannerOptions
{
    /// <summary>
    /// What a request costs, US dollars, that misses the objective beyond the share that may, 1 - service level, where there is no spillover: more than 0. Default
    /// <see langword="null"/>: 0.3 times what it costs on the cheapest instance, over 1 - service level.
    /// </summary>
    public double? ViolationPenaltyPerRequest { get; init; }

    internal void Validate()
    {
        if (ViolationPenaltyPerRequest is { } penalty && !(penalty > 0 && double.IsFinite(penalty)))
        {
            throw new ArgumentException(FormattableString.Invariant($"{nameof(ViolationPenaltyPerRequest)} is {penalty} dollars; accepted is a finite number of more than 0, or nothing."));
        }
    }
}
