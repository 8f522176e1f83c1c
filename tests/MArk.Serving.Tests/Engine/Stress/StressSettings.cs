using MArk.Serving.Batching;

namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>How a run of the world ends.</summary>
internal enum StressEnd
{
    /// <summary>The host stops when all callers have their answers.</summary>
    AfterTheLastCall = 0,

    /// <summary>The host stops in the middle, and has the time to finish what it accepted.</summary>
    WithinTheDrainDeadline,

    /// <summary>The host stops in the middle, and what runs does not end by itself.</summary>
    BeyondTheDrainDeadline,

    /// <summary>The host is disposed of in the middle, without a stop.</summary>
    ByDispose,
}

/// <summary>A world, as its seed has it.</summary>
internal sealed record StressSettings
{
    private const int EndCount = 4;

    public required int Seed { get; init; }

    public required StressEnd End { get; init; }

    public required int Callers { get; init; }

    public int CallsPerCaller { get; init; } = 250;

    /// <summary>The most calls one caller has under way.</summary>
    public required int Window { get; init; }

    /// <summary>Machines of a provider; 0 for instances in the process, which cannot be lost.</summary>
    public required int Machines { get; init; }

    public required int FixedInstances { get; init; }

    public required bool HasSpillover { get; init; }

    public required int MaxBatchSize { get; init; }

    public required int MaxQueueLength { get; init; }

    public required int MaxRedeliveries { get; init; }

    public required TimeSpan Slo { get; init; }

    public required int Policy { get; init; }

    /// <summary>The most weight of a batch; nothing for no limit.</summary>
    public required int? MaxBatchWeight { get; init; }

    public required long MaxQueueBytes { get; init; }

    /// <summary>Tenants that callers name; 0 for none.</summary>
    public required int Tenants { get; init; }

    /// <summary>Whether the model has a sample to warm up and to probe with; where it has none, the next lone request is the probe.</summary>
    public required bool HasSample { get; init; }

    public required bool IsProfiled { get; init; }

    /// <summary>Of 100 runs, how many are not as they should be.</summary>
    public required int Faults { get; init; }

    /// <summary>Of 1000 calls, how many are accompanied by something that happens to the world.</summary>
    public required int Events { get; init; }

    public bool IsHard => End is StressEnd.BeyondTheDrainDeadline or StressEnd.ByDispose;

    public static StressSettings Of(int seed)
    {
        var random = new Random(seed);
        return new StressSettings
        {
            Seed = seed,
            End = (StressEnd)((uint)seed % EndCount),
            Callers = random.Next(4, 17),
            Window = random.Next(1, 9),
            Machines = random.Next(4),
            FixedInstances = random.Next(1, 3),
            HasSpillover = random.Next(3) > 0,
            MaxBatchSize = random.Next(1, 9),
            MaxQueueLength = random.Next(2) == 0 ? random.Next(1, 20) : random.Next(20, 200),
            MaxRedeliveries = random.Next(4),
            Slo = TimeSpan.FromMilliseconds(random.Next(2, 60)),
            Policy = random.Next(3),
            IsProfiled = random.Next(3) > 0,
            Faults = random.Next(5, 50),
            Events = random.Next(3, 20),
            MaxBatchWeight = random.Next(2) == 0 ? random.Next(StressCall.MaxWeight, 20) : null,
            MaxQueueBytes = random.Next(2) == 0 ? random.Next(StressCall.MaxBytes, 10 * StressCall.MaxBytes) : 1L << 30,
            Tenants = random.Next(4),
            HasSample = random.Next(2) == 0,
        };
    }

    public IBatchPolicy CreatePolicy() => Policy switch
    {
        0 => new SloAwareBatchPolicy(),
        1 => new FixedWindowBatchPolicy(3, TimeSpan.FromMilliseconds(1)),
        _ => new NoBatchingPolicy(),
    };
}
