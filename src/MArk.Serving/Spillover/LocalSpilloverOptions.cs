namespace MArk.Serving.Spillover;

/// <summary>How the model is run outside the fleet, in this process.</summary>
public sealed record LocalSpilloverOptions
{
    /// <summary>The most requests at a time, each with a copy of the model; at least 1.</summary>
    public int MaxConcurrency { get; init; } = 1;

    /// <summary>What a spilled request is taken to cost, US dollars; at least 0.</summary>
    public decimal PricePerRequest { get; init; }

    /// <summary>Makes the target stand in for one this many times slower, as <see cref="Provisioning.LocalOffering.DeviceTimeScale"/> does; at least 1.</summary>
    public double DeviceTimeScale { get; init; } = 1;

    internal void Validate()
    {
        Check(MaxConcurrency >= 1, nameof(MaxConcurrency), MaxConcurrency, "at least 1");
        Check(PricePerRequest >= 0, nameof(PricePerRequest), PricePerRequest, "at least 0");
        Check(DeviceTimeScale is >= 1 and < 1e9, nameof(DeviceTimeScale), DeviceTimeScale, "1 to 1e9");
    }

    private static void Check<T>(bool holds, string key, T value, string accepted)
    {
        if (!holds)
        {
            throw new ArgumentException(FormattableString.Invariant($"Local spillover: {key} is {value}; accepted: {accepted}."));
        }
    }
}
