using System.Runtime.CompilerServices;

namespace MArk.Serving.Simulation.Baselines;

/// <summary>What a <see cref="SageMakerTargetTrackingPlanner"/> is set to. The defaults are those of SageMaker, and of the alarms that Application Auto Scaling makes.</summary>
public sealed record SageMakerTargetTrackingOptions
{
    /// <summary>
    /// The share of what one instance serves at most that it is to be given: more than 0, at most 1. Default 0.5, as the SageMaker developer guide has one begin ("Load testing
    /// your auto scaling configuration"), and the paper's over-provisioning factor of 2.
    /// </summary>
    public double SafetyFactor { get; init => field = Share(value); } = 0.5;

    /// <summary>
    /// What one instance serves at most, requests per second, as a load test finds it: more than 0. Default <see langword="null"/>: the capacity that the planner is told first, which
    /// may keep room for waits.
    /// </summary>
    public double? MaxRatePerInstance { get; init => field = value is null or > 0 ? value : throw new ArgumentOutOfRangeException(nameof(MaxRatePerInstance), value, "MaxRatePerInstance must be more than 0."); }

    /// <summary>How many one-minute points in a row must lie above the target for instances to be added; at least 1, default 3.</summary>
    public int ScaleOutDataPoints { get; init => field = Points(value); } = 3;

    /// <summary>How many one-minute points in a row must lie below <see cref="ScaleInThreshold"/> for instances to be let go; at least 1, default 15.</summary>
    public int ScaleInDataPoints { get; init => field = Points(value); } = 15;

    /// <summary>How long after instances were added only a larger addition is made; at least 0, default 300 s.</summary>
    public TimeSpan ScaleOutCooldown { get; init => field = Time(value); } = TimeSpan.FromSeconds(300);

    /// <summary>How long after instances were let go no others are; at least 0, default 300 s.</summary>
    public TimeSpan ScaleInCooldown { get; init => field = Time(value); } = TimeSpan.FromSeconds(300);

    /// <summary>The share of the target below which a point speaks for letting instances go: more than 0, at most 1. Default 0.9.</summary>
    public double ScaleInThreshold { get; init => field = Share(value); } = 0.9;

    /// <summary>The share of the instances that is let go in one step, rounded down, but one at least: more than 0, at most 1. Default 0.1.</summary>
    public double ScaleInStep { get; init => field = Share(value); } = 0.1;

    private static double Share(double value, [CallerMemberName] string name = "") =>
        value is > 0 and <= 1 ? value : throw new ArgumentOutOfRangeException(name, value, $"{name} must be more than 0 and at most 1.");

    private static int Points(int value, [CallerMemberName] string name = "") =>
        value >= 1 ? value : throw new ArgumentOutOfRangeException(name, value, $"{name} must be at least 1.");

    private static TimeSpan Time(TimeSpan value, [CallerMemberName] string name = "") =>
        value >= TimeSpan.Zero ? value : throw new ArgumentOutOfRangeException(name, value, $"{name} must be at least 0.");
}
