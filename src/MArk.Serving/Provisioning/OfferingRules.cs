namespace MArk.Serving.Provisioning;

/// <summary>What offerings may say of interruptions and of standby machines, wherever they come from.</summary>
internal static class OfferingRules
{
    /// <summary>What is wrong with an offering, with its name and what is accepted; nothing if all is well.</summary>
    public static string? Violation(InstanceOffering offering)
    {
        var (name, market) = (offering.Name, offering.Market);
        if (!Enum.IsDefined(market))
        {
            return $"'{name}' is of market {market}; accepted: {string.Join(", ", Enum.GetNames<InstanceMarket>())}.";
        }
        if (!(double.IsFinite(offering.InterruptionsPerHour) && offering.InterruptionsPerHour >= 0 && (market == InstanceMarket.Spot || offering.InterruptionsPerHour == 0)))
        {
            return FormattableString.Invariant($"'{name}', of market {market}, has {offering.InterruptionsPerHour} interruptions an hour; accepted is a finite number of 0 or more, and 0 where the market is not Spot.");
        }
        if (offering.StoppedPricePerHour < 0 || offering.StoppedPricePerHour > (market == InstanceMarket.Standby ? offering.PricePerHour : 0))
        {
            return FormattableString.Invariant($"'{name}', of market {market}, costs {offering.StoppedPricePerHour} dollars an hour while it is stopped; accepted is 0 to its price, {offering.PricePerHour}, and 0 where the market is not Standby.");
        }
        if (offering.ResumeDelay < TimeSpan.Zero || (market != InstanceMarket.Standby && offering.ResumeDelay != TimeSpan.Zero))
        {
            return FormattableString.Invariant($"'{name}', of market {market}, has a resume delay of {offering.ResumeDelay}; accepted is 00:00:00 or more, and 00:00:00 where the market is not Standby.");
        }
        return null;
    }

    /// <summary>What is wrong with a fleet's offerings taken together, with what is accepted; nothing if all is well.</summary>
    /// <param name="offerings">The offerings.</param>
    /// <param name="standbyInstances">How many standby instances are to be had.</param>
    public static string? Violation(IReadOnlyList<InstanceOffering> offerings, int standbyInstances)
    {
        var names = string.Join("', '", offerings.Select(o => o.Name));
        if (offerings.Count == 0 || offerings.DistinctBy(o => o.Name).Count() != offerings.Count)
        {
            return $"offers '{names}'; accepted is at least one offering, with names that are unique.";
        }
        if (offerings.All(o => o.Market == InstanceMarket.Standby))
        {
            return $"offers '{names}', all of market Standby; accepted is at least one that can be planned.";
        }
        if (standbyInstances > 0 && offerings.All(o => o.Market != InstanceMarket.Standby))
        {
            return $"offers '{names}', none of market Standby, and Fleet:StandbyInstances is {standbyInstances}; accepted is 0, or an offering of market Standby.";
        }
        return offerings.Select(Violation).FirstOrDefault(v => v is not null) is { } violation ? $"has an offering outside its contract: {violation}" : null;
    }
}
