using MArk.Serving;
using MArk.Serving.Prediction;
using MArk.Serving.Provisioning;

namespace QuickStart;

/// <summary>The demo's figures: what an instance is, what it costs, how quickly the fleet is planned.</summary>
internal sealed record Setup
{
    public const int MaxBatchSize = 32;
    public const int SpillConcurrency = 64;

    // What the models of a stand-in's shape cost in a cloud, roughly: a 4-core instance, and a call of a 2 GB function.
    private const decimal InstanceDollarsPerHour = 0.17m;
    private const decimal SpillDollarsPerRequest = 0.0000005m;

    public required TimeSpan Slo { get; init; }

    public required TimeSpan Duration { get; init; }

    /// <summary>How long a batch takes on this machine.</summary>
    public required LatencyProfile Measured { get; init; }

    /// <summary>A second of the demo is billed as this much of the day, so that the dollars are those of the day.</summary>
    public double DaySecondsPerSecond => TimeSpan.FromDays(1) / Duration;

    /// <summary>
    /// A laptop stands in for a fleet of slower devices: the model really runs, and the instance is busy for this many times as long
    /// as that takes. Chosen so that a full batch takes 37 % of the objective, whatever the machine.
    /// </summary>
    public double DeviceTimeScale => Math.Max(1, 0.37 * Slo / Measured.Mean(MaxBatchSize));

    public LatencyProfile Device => Measured.Scale(DeviceTimeScale);

    /// <summary>The rate one instance sustains with the objective kept, requests per second.</summary>
    public double Capacity => Device.CapacityWithin(Slo, MaxBatchSize);

    /// <summary>The busiest moment needs between three and four instances; a machine that is no stand-in has only its cores.</summary>
    public double PeakRate => (DeviceTimeScale > 1 ? 3.3 : 0.8 * LocalOffering.MaxInstances) * Capacity;

    public LocalOffering LocalOffering => new()
    {
        Name = DeviceTimeScale > 1 ? "stand-in" : "core",
        PricePerHour = InstanceDollarsPerHour * (decimal)DaySecondsPerSecond,
        LaunchDelay = TimeSpan.FromSeconds(1),
        MaxInstances = DeviceTimeScale > 1 ? 8 : Environment.ProcessorCount,
        DeviceTimeScale = DeviceTimeScale,
    };

    public decimal SpillPrice => SpillDollarsPerRequest * (decimal)DaySecondsPerSecond;

    /// <summary>The same offering as the simulator sees it.</summary>
    public InstanceOffering Offering => new()
    {
        Name = LocalOffering.Name,
        PricePerHour = LocalOffering.PricePerHour,
        LaunchDelay = LocalOffering.LaunchDelay,
        MaxInstances = LocalOffering.MaxInstances,
        DeviceTimeScale = DeviceTimeScale,
    };

    /// <summary>The engine's default predictor, as the simulator must be told it.</summary>
    public IWorkloadPredictor CreatePredictor() => new AutoPredictor(PredictorOptions.Of(Fleet(LocalOffering.MaxInstances)));

    /// <summary>A day in seconds is counted and planned in fractions of them.</summary>
    public FleetOptions Fleet(int maxInstances) => new()
    {
        MaxInstances = maxInstances,
        SampleInterval = TimeSpan.FromMilliseconds(250),
        PlanInterval = TimeSpan.FromMilliseconds(250),
        Horizon = 8,
        ScaleInCooldown = TimeSpan.FromSeconds(1.5),
        // What is shown is the plan: nothing is done between two.
        SloWindow = TimeSpan.Zero,
    };
}
