namespace MArk.Serving.Provisioning;

/// <summary>What holds for one offering in place of what its provider says; <see langword="null"/> leaves it as it is. Prices are US dollars per hour.</summary>
public sealed class OfferingOptions
{
    /// <summary>What an instance costs an hour: at least 0.</summary>
    public decimal? PricePerHour { get; set; }

    /// <summary>What the same instance costs an hour on demand: at least 0.</summary>
    public decimal? OnDemandPricePerHour { get; set; }

    /// <summary>What a stopped instance costs an hour: 0 to its price, and 0 where it is not for standby.</summary>
    public decimal? StoppedPricePerHour { get; set; }

    /// <summary>How often the provider is expected to take an instance away, per instance and hour: a finite number of at least 0, and 0 where it is no spot instance.</summary>
    public double? InterruptionsPerHour { get; set; }

    /// <summary>The most instances at a time: at least 0. A quota below the provider's own.</summary>
    public int? MaxInstances { get; set; }

    /// <summary>These, and what others say where these say nothing.</summary>
    internal OfferingOptions Or(OfferingOptions others) => new()
    {
        PricePerHour = PricePerHour ?? others.PricePerHour,
        OnDemandPricePerHour = OnDemandPricePerHour ?? others.OnDemandPricePerHour,
        StoppedPricePerHour = StoppedPricePerHour ?? others.StoppedPricePerHour,
        InterruptionsPerHour = InterruptionsPerHour ?? others.InterruptionsPerHour,
        MaxInstances = MaxInstances ?? others.MaxInstances,
    };

    /// <summary>An offering as it is with these.</summary>
    internal InstanceOffering ApplyTo(InstanceOffering offering) => offering with
    {
        PricePerHour = PricePerHour ?? offering.PricePerHour,
        OnDemandPricePerHour = OnDemandPricePerHour ?? offering.OnDemandPricePerHour,
        StoppedPricePerHour = StoppedPricePerHour ?? offering.StoppedPricePerHour,
        InterruptionsPerHour = InterruptionsPerHour ?? offering.InterruptionsPerHour,
        MaxInstances = MaxInstances is { } most && most < offering.MaxInstances ? most : offering.MaxInstances,
    };
}
