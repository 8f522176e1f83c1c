namespace MArk.Serving.Provisioning;

/// <summary>Whose claim goes first where cores are scarce, in this order.</summary>
internal enum CoreClaimKind
{
    /// <summary>Instances that a local provider launches. A fleet that finds no core serves nothing, while other models can share one.</summary>
    Fleet,

    /// <summary>Instances that the host has set.</summary>
    Set,

    /// <summary>Instances by what cores there are.</summary>
    Automatic,
}

/// <summary>What a model asks of the cores of this process.</summary>
internal sealed record CoreClaim
{
    /// <summary>Each instance has a copy of the model in memory: beyond this many, further cores become threads of these.</summary>
    public const int MostAutomaticInstances = 8;

    private CoreClaim(string modelName, CoreClaimKind kind, long least, long most) =>
        (ModelName, Kind, Least, Most) = (modelName, kind, Cap(least), Cap(most));

    public string ModelName { get; }

    public CoreClaimKind Kind { get; }

    /// <summary>The cores it asks for before anyone gets more.</summary>
    public int Least { get; }

    /// <summary>The most cores it can use.</summary>
    public int Most { get; }

    private int? Instances { get; init; }

    private int? Threads { get; init; }

    /// <summary>Instances of a local provider; those that hold no cores claim none.</summary>
    public static CoreClaim OfFleet(string modelName, IReadOnlyCollection<LocalOffering> offerings)
    {
        var holding = offerings.Where(o => o.DeviceTimeScale <= 1).ToArray();
        return new CoreClaim(modelName, CoreClaimKind.Fleet, holding.Length == 0 ? 0 : holding.Min(o => o.Threads), holding.Sum(o => (long)o.Threads * o.MaxInstances))
        {
            Instances = 0,
            Threads = 0,
        };
    }

    /// <summary>Instances that the host has set.</summary>
    public static CoreClaim OfSet(string modelName, int instances, int threads) =>
        new(modelName, CoreClaimKind.Set, (long)instances * threads, (long)instances * threads) { Instances = instances, Threads = threads };

    /// <summary>A function that runs so many batches at a time: whether it computes or waits is not known, so it asks for a core for each, after those that are set.</summary>
    public static CoreClaim OfFunction(string modelName, int concurrency, int threads) =>
        new(modelName, CoreClaimKind.Automatic, threads, (long)concurrency * threads) { Instances = concurrency, Threads = threads };

    /// <summary>Instances by what cores there are; of so many threads, if they are known.</summary>
    public static CoreClaim OfAutomatic(string modelName, int? threads) =>
        new(modelName, CoreClaimKind.Automatic, threads ?? 1, threads is { } t ? (long)t * MostAutomaticInstances : int.MaxValue) { Threads = threads };

    /// <summary>The instances on so many cores, and the threads of each.</summary>
    public (int Instances, int Threads) On(int cores)
    {
        // One thread an instance gives the most throughput: threads of one batch wait for each other, batches of several instances do not.
        var threads = Threads ?? Math.Max(1, (cores + MostAutomaticInstances - 1) / MostAutomaticInstances);
        return (Instances ?? (threads == 0 ? 1 : Math.Clamp(cores / threads, 1, MostAutomaticInstances)), threads);
    }

    /// <summary>Whether it is the cores that say how many instances there are.</summary>
    public bool IsByCores => Instances is null;

    private static int Cap(long cores) => (int)Math.Min(cores, int.MaxValue);
}
