namespace MArk.Serving.Provisioning;

/// <summary>A kind of instance in this process.</summary>
public sealed record LocalOffering
{
    /// <summary>The offering's name; unique within the model.</summary>
    public string Name { get; init; } = "local";

    /// <summary>What one instance is taken to cost, US dollars per hour; at least 0.</summary>
    public decimal PricePerHour { get; init; }

    /// <summary>How long an instance takes to launch, before the model is loaded on it; at least 0.</summary>
    public TimeSpan LaunchDelay { get; init; }

    /// <summary>The shortest time an instance is billed for; at least 0.</summary>
    public TimeSpan MinimumBilling { get; init; }

    /// <summary>The threads one instance computes on, each on a core that no other instance holds; at least 1.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>The most instances; at least 1. Instances that hold cores are also bounded by the cores there are.</summary>
    public int MaxInstances { get; init; } = 1;

    /// <summary>
    /// Makes an instance stand in for a device this many times slower: the model really runs, and the instance is busy, otherwise
    /// without using the processor, for the scaled time of its batch. At least 1. Above 1 an instance holds no core.
    /// </summary>
    public double DeviceTimeScale { get; init; } = 1;

    /// <exception cref="ArgumentException">There is none, two have the same name, or one is outside its bounds; names it and the value.</exception>
    internal static void Validate(IReadOnlyCollection<LocalOffering> offerings)
    {
        if (offerings.Count == 0)
        {
            throw new ArgumentException("A local provider needs at least one offering.", nameof(offerings));
        }
        foreach (var offering in offerings)
        {
            ArgumentNullException.ThrowIfNull(offering, nameof(offerings));
            offering.Validate();
        }
        if (offerings.GroupBy(o => o.Name).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"There are {twice.Count()} local offerings named '{twice.Key}'; names must be unique.", nameof(offerings));
        }
    }

    private void Validate()
    {
        Check(!string.IsNullOrWhiteSpace(Name), nameof(Name), Name, "not empty");
        Check(PricePerHour >= 0, nameof(PricePerHour), PricePerHour, "at least 0");
        Check(LaunchDelay >= TimeSpan.Zero, nameof(LaunchDelay), LaunchDelay, "at least 00:00:00");
        Check(MinimumBilling >= TimeSpan.Zero, nameof(MinimumBilling), MinimumBilling, "at least 00:00:00");
        Check(Threads >= 1, nameof(Threads), Threads, "at least 1");
        Check(MaxInstances >= 1, nameof(MaxInstances), MaxInstances, "at least 1");
        Check(DeviceTimeScale is >= 1 and < 1e9, nameof(DeviceTimeScale), DeviceTimeScale, "1 to 1e9");
    }

    private void Check<T>(bool holds, string key, T value, string accepted)
    {
        if (!holds)
        {
            throw new ArgumentException(FormattableString.Invariant($"Local offering '{Name}': {key} is {value}; accepted: {accepted}."));
        }
    }
}
