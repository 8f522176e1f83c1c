using MArk.Serving.Provisioning;

namespace MArk.Serving.Simulation.Baselines;

/// <summary>What the fleet of an autoscaler is kept by, whichever it is: its own rules, and none of the controller's beside them.</summary>
internal static class ReactiveFleet
{
    public static void Configure(FleetOptions options, TimeSpan planInterval, TimeSpan sampleInterval)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.PlanInterval = planInterval;
        options.SampleInterval = sampleInterval;
        // It reads no forecast: the shortest there can be costs the least.
        options.Horizon = 1;
        // What it no longer wants goes at once: when that is, is what its own cool-down or window says.
        options.ScaleInCooldown = TimeSpan.Zero;
        options.SloWindow = TimeSpan.Zero;
    }
}
