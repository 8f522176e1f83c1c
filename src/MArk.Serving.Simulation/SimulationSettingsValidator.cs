using MArk.Serving.Provisioning;

namespace MArk.Serving.Simulation;

/// <summary>Checks a simulation's settings before it begins.</summary>
internal static class SimulationSettingsValidator
{
    /// <exception cref="ArgumentException">A setting is outside its range; says which, and what is accepted.</exception>
    public static void Check(SimulationSettings settings)
    {
        if (settings.Scaling is null ? settings.Fleet.Count == 0 : settings.Scaling.Offerings.Count == 0)
        {
            throw Bad("A simulated fleet needs at least one instance, and one that scales at least one offering.");
        }
        Require(settings.Slo > TimeSpan.Zero, nameof(settings.Slo), settings.Slo, "more than 00:00:00");
        Require(settings.ServiceLevel is > 0 and < 1, nameof(settings.ServiceLevel), settings.ServiceLevel, "more than 0, less than 1");
        Require(settings.MaxBatchSize >= 1, nameof(settings.MaxBatchSize), settings.MaxBatchSize, "at least 1");
        Require(settings.MaxQueueLength >= 1, nameof(settings.MaxQueueLength), settings.MaxQueueLength, "at least 1");
        Require(settings.LatencyNoise is >= 0 and < 1, nameof(settings.LatencyNoise), settings.LatencyNoise, "0 to less than 1");
        Require(settings.HistoryStep is null || settings.HistoryStep > TimeSpan.Zero, nameof(settings.HistoryStep), settings.HistoryStep, "more than 00:00:00, or nothing for no history");
        foreach (var instance in settings.Scaling?.Offerings ?? settings.Fleet)
        {
            var name = instance.Offering.Name;
            Require(
                instance.UnbilledLaunch >= TimeSpan.Zero && instance.UnbilledLaunch <= instance.Offering.LaunchDelay, $"{nameof(instance.UnbilledLaunch)} of '{name}'", instance.UnbilledLaunch,
                $"00:00:00 to its launch delay, {instance.Offering.LaunchDelay}");
            Require(instance.LaunchDelayNoise is >= 0 and <= 2, $"{nameof(instance.LaunchDelayNoise)} of '{name}'", instance.LaunchDelayNoise, "0 to 2");
        }
        Require(
            settings.WhenUnreachable is null or WhenUnreachable.ServeLate or WhenUnreachable.Reject || (settings.WhenUnreachable == WhenUnreachable.Spill && settings.Spillover is not null),
            nameof(settings.WhenUnreachable), settings.WhenUnreachable, "ServeLate, Reject, and with Spillover Spill");
        if (settings.Spillover is { } spillover)
        {
            Require(spillover.Latency > TimeSpan.Zero, "Spillover.Latency", spillover.Latency, "more than 00:00:00");
            Require(spillover.PricePerRequest >= 0, "Spillover.PricePerRequest", spillover.PricePerRequest, "0 or more");
            Require(spillover.MaxConcurrency >= 1, "Spillover.MaxConcurrency", spillover.MaxConcurrency, "at least 1");
            Require(spillover.ColdLatency is null || spillover.ColdLatency >= spillover.Latency, "Spillover.ColdLatency", spillover.ColdLatency, $"Latency, {spillover.Latency}, or more, or nothing for no cold starts");
            Require(spillover.EnvironmentLifetime > TimeSpan.Zero, "Spillover.EnvironmentLifetime", spillover.EnvironmentLifetime, "more than 00:00:00");
        }
        if (settings.Scaling is { } scaling)
        {
            CheckScaling(scaling);
        }
    }

    private static void CheckScaling(SimulatedScaling scaling)
    {
        if (OfferingRules.Violation([.. scaling.Offerings.Select(o => o.Offering)], scaling.Options.StandbyInstances) is { } violation)
        {
            throw Bad($"The simulated provider {violation}");
        }
        Require(scaling.InterruptionNotice >= TimeSpan.Zero, nameof(scaling.InterruptionNotice), scaling.InterruptionNotice, "00:00:00 or more");
        Require(double.IsFinite(scaling.CrashesPerHour) && scaling.CrashesPerHour >= 0, nameof(scaling.CrashesPerHour), scaling.CrashesPerHour, "a finite number of 0 or more");
        foreach (var loss in scaling.SpotLosses)
        {
            Require(loss.At >= TimeSpan.Zero && loss.Share is > 0 and <= 1, nameof(scaling.SpotLosses), loss, "an At of 00:00:00 or more, and a Share of more than 0, at most 1");
            Require(scaling.SpotLosses.Count(other => other.At == loss.At) == 1, nameof(scaling.SpotLosses), loss, "one loss at a time");
        }
    }

    private static void Require(bool holds, string name, object? value, string accepted)
    {
        if (!holds)
        {
            throw Bad(FormattableString.Invariant($"{name} is {value}; accepted: {accepted}."));
        }
    }

    private static ArgumentException Bad(string message) => new(message);
}
