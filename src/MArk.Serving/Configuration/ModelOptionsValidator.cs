using Microsoft.Extensions.Options;

namespace MArk.Serving.Configuration;

/// <summary>Checks a model's settings at start; each message names the key and what is accepted.</summary>
internal sealed class ModelOptionsValidator(string modelName, bool hasProvider) : IValidateOptions<ModelOptions>
{
    private const string Provided = "nothing, as the model's instances come from a provider";
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(10);

    public ValidateOptionsResult Validate(string? name, ModelOptions options)
    {
        if (name != modelName)
        {
            return ValidateOptionsResult.Skip;
        }
        var failures = new List<string>();
        Check(options.Slo > TimeSpan.Zero && options.Slo <= TimeSpan.FromDays(1), nameof(options.Slo), options.Slo, "more than 00:00:00, at most 1.00:00:00");
        Check(options.ServiceLevel is > 0 and < 1, nameof(options.ServiceLevel), options.ServiceLevel, "more than 0, less than 1");
        Check(options.MaxBatchSize is >= 1 and <= 65_536, nameof(options.MaxBatchSize), options.MaxBatchSize, "1 to 65536");
        Check(options.MaxBatchWeight is null or >= 1, nameof(options.MaxBatchWeight), options.MaxBatchWeight, "1 to 2147483647, or nothing for no limit");
        Check(options.MaxQueueLength is >= 1 and <= 10_000_000, nameof(options.MaxQueueLength), options.MaxQueueLength, "1 to 10000000");
        Check(options.MaxQueueBytes is >= 1 and <= 1L << 60, nameof(options.MaxQueueBytes), options.MaxQueueBytes, "1 to 1152921504606846976");
        Check(options.PriorityHeadroom is >= 0 and <= 0.9, nameof(options.PriorityHeadroom), options.PriorityHeadroom, "0 to 0.9");
        foreach (var (tenant, share) in options.Tenants)
        {
            Check(share is >= 0.001 and <= 1000, $"{nameof(options.Tenants)}:{tenant}", share, "0.001 to 1000");
        }
        Check(options.MaxRedeliveries is >= 0 and <= 100, nameof(options.MaxRedeliveries), options.MaxRedeliveries, "0 to 100");
        Check(options.MaxRetryRuns is >= 0 and <= 1_000_000, nameof(options.MaxRetryRuns), options.MaxRetryRuns, "0 to 1000000");
        Check(options.DrainTimeout >= TimeSpan.Zero && options.DrainTimeout <= TimeSpan.FromDays(1), nameof(options.DrainTimeout), options.DrainTimeout, "00:00:00 to 1.00:00:00");
        Check(options.Instances is null or (>= 1 and <= ModelOptions.MaxInstances), nameof(options.Instances), options.Instances, $"1 to {ModelOptions.MaxInstances}, or nothing for what the cores allow");
        Check(options.Threads is null or (>= 0 and <= ModelOptions.MaxThreads), nameof(options.Threads), options.Threads, $"0 to {ModelOptions.MaxThreads}, or nothing for what the cores allow");
        Check(!hasProvider || options.Instances is null, nameof(options.Instances), options.Instances, Provided);
        Check(!hasProvider || options.Threads is null, nameof(options.Threads), options.Threads, Provided);
        var fleet = options.Fleet;
        CheckFleet(fleet.MaxInstances is >= 1 and <= 10_000, nameof(fleet.MaxInstances), fleet.MaxInstances, "1 to 10000");
        CheckFleet(fleet.MinInstances >= 0 && fleet.MinInstances <= fleet.MaxInstances, nameof(fleet.MinInstances), fleet.MinInstances, $"0 to MaxInstances, {fleet.MaxInstances}");
        var planned = Math.Max(1, fleet.MinInstances);
        CheckFleet(
            fleet.StandbyInstances == 0 || (fleet.StandbyInstances > 0 && fleet.StandbyInstances <= fleet.MaxInstances - planned), nameof(fleet.StandbyInstances), fleet.StandbyInstances,
            $"0 to MaxInstances less {planned} that are planned, {Math.Max(0, fleet.MaxInstances - planned)}");
        CheckFleet(fleet.MaxHourlySpend is null or (>= 0 and <= 1_000_000_000), nameof(fleet.MaxHourlySpend), fleet.MaxHourlySpend, "0 to 1e9, or nothing for no limit");
        for (var i = 0; i < fleet.ScheduledCapacity.Count; i++)
        {
            ScheduledCapacityValidator.Check(fleet.ScheduledCapacity[i], fleet.MaxInstances - fleet.StandbyInstances, (holds, key, value, accepted) => CheckFleet(holds, $"{nameof(fleet.ScheduledCapacity)}:{i}:{key}", value, accepted));
        }
        CheckFleet(fleet.SampleInterval >= Tick && fleet.SampleInterval <= TimeSpan.FromHours(1), nameof(fleet.SampleInterval), fleet.SampleInterval, "00:00:00.010 to 01:00:00");
        CheckFleet(
            fleet.PlanInterval >= fleet.SampleInterval && fleet.PlanInterval <= TimeSpan.FromDays(1), nameof(fleet.PlanInterval), fleet.PlanInterval,
            $"SampleInterval, {fleet.SampleInterval}, to 1.00:00:00");
        CheckFleet(fleet.Horizon is >= 1 and <= WorkloadForecast.MaxHorizon, nameof(fleet.Horizon), fleet.Horizon, $"1 to {WorkloadForecast.MaxHorizon}");
        CheckFleet(
            fleet.TimeZone is { } zone && TimeZoneInfo.TryFindSystemTimeZoneById(zone, out _), nameof(fleet.TimeZone), $"'{fleet.TimeZone}'",
            "the name of a time zone that this machine knows, such as UTC or Europe/Berlin");
        CheckFleet(fleet.ScaleInCooldown >= TimeSpan.Zero && fleet.ScaleInCooldown <= TimeSpan.FromDays(7), nameof(fleet.ScaleInCooldown), fleet.ScaleInCooldown, "00:00:00 to 7.00:00:00");
        CheckFleet(
            fleet.SloWindow == TimeSpan.Zero || (fleet.SloWindow >= fleet.SampleInterval && fleet.SloWindow <= TimeSpan.FromHours(1)), nameof(fleet.SloWindow), fleet.SloWindow,
            $"SampleInterval, {fleet.SampleInterval}, to 01:00:00, or 00:00:00 for none");
        CheckFleet(
            fleet.ReadyTimeout is not { } ready || (ready >= TimeSpan.FromSeconds(1) && ready <= TimeSpan.FromDays(1)), nameof(fleet.ReadyTimeout), fleet.ReadyTimeout,
            "00:00:01 to 1.00:00:00, or nothing for what follows from the launch delay");
        CheckFleet(fleet.StartTimeout >= TimeSpan.Zero && fleet.StartTimeout <= TimeSpan.FromDays(1), nameof(fleet.StartTimeout), fleet.StartTimeout, "00:00:00 to 1.00:00:00");
        CheckFleet(
            fleet.HistorySaveInterval >= TimeSpan.FromSeconds(1) && fleet.HistorySaveInterval <= TimeSpan.FromDays(1), nameof(fleet.HistorySaveInterval), fleet.HistorySaveInterval,
            "00:00:01 to 1.00:00:00");
        CheckDirectory(fleet.HistoryDirectory, nameof(fleet.HistoryDirectory));
        CheckFleet(
            hasProvider || fleet.HistoryDirectory is null, nameof(fleet.HistoryDirectory), $"'{fleet.HistoryDirectory}'",
            "nothing, as no instance provider is used, whose fleet would be planned by what is kept");
        CheckFleet(
            fleet.LeaseDuration >= TimeSpan.FromSeconds(1) && fleet.LeaseDuration <= TimeSpan.FromHours(1), nameof(fleet.LeaseDuration), fleet.LeaseDuration, "00:00:01 to 01:00:00");
        CheckDirectory(fleet.LeaseDirectory, nameof(fleet.LeaseDirectory));
        CheckFleet(
            hasProvider || fleet.LeaseDirectory is null, nameof(fleet.LeaseDirectory), $"'{fleet.LeaseDirectory}'", "nothing, as no instance provider is used, whose fleet would be kept");
        CheckFleetless(fleet.StandbyInstances == 0, nameof(fleet.StandbyInstances), fleet.StandbyInstances, "0, as no instance provider is used, whose instances would be kept stopped");
        CheckFleetless(fleet.MaxHourlySpend is null, nameof(fleet.MaxHourlySpend), fleet.MaxHourlySpend, "nothing, as no instance provider is used, whose fleet would cost it");
        CheckFleetless(fleet.ScheduledCapacity.Count == 0, nameof(fleet.ScheduledCapacity), "said", "nothing, as no instance provider is used, whose fleet would be ready for it");
        CheckFleetless(!fleet.DryRun, nameof(fleet.DryRun), fleet.DryRun, "false, as no instance provider is used, whose fleet would be planned");
        CheckFleetless(fleet.TimeZone is "UTC", nameof(fleet.TimeZone), $"'{fleet.TimeZone}'", "UTC, as no instance provider is used, whose fleet would be planned by it");
        foreach (var (offering, said) in fleet.Offerings)
        {
            CheckFleet(hasProvider, $"{nameof(fleet.Offerings)}:{offering}", "said", "nothing, as no instance provider is used, whose offering it would be");
            CheckOffering(offering, said.PricePerHour is null or (>= 0 and <= 1_000_000), nameof(said.PricePerHour), said.PricePerHour, "0 to 1e6");
            CheckOffering(offering, said.OnDemandPricePerHour is null or (>= 0 and <= 1_000_000), nameof(said.OnDemandPricePerHour), said.OnDemandPricePerHour, "0 to 1e6");
            CheckOffering(offering, said.StoppedPricePerHour is null or >= 0, nameof(said.StoppedPricePerHour), said.StoppedPricePerHour, "0 to its price");
            CheckOffering(offering, said.InterruptionsPerHour is null or (>= 0 and <= 3600), nameof(said.InterruptionsPerHour), said.InterruptionsPerHour, "0 to 3600");
            CheckOffering(offering, said.MaxInstances is null or >= 0, nameof(said.MaxInstances), said.MaxInstances, "0 or more");
        }
        CheckFleet(hasProvider || fleet.PriceFile is null, nameof(fleet.PriceFile), $"'{fleet.PriceFile}'", "nothing, as no instance provider is used, whose prices it would give");
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        void CheckDirectory(string? path, string key) =>
            CheckFleet(path is null || (!string.IsNullOrWhiteSpace(path) && !path.Contains('\0')), key, $"'{path}'", "the path of a directory, or no such key for none");

        void CheckOffering<T>(string offering, bool holds, string key, T value, string accepted) => CheckFleet(holds, $"{nameof(fleet.Offerings)}:{offering}:{key}", value, accepted);

        void CheckFleetless<T>(bool holds, string key, T value, string accepted) => CheckFleet(hasProvider || holds, key, value, accepted);

        void CheckFleet<T>(bool holds, string key, T value, string accepted) => Check(holds, $"Fleet:{key}", value, accepted);

        void Check<T>(bool holds, string key, T value, string accepted)
        {
            if (!holds)
            {
                failures.Add(FormattableString.Invariant($"MArk:Models:{modelName}:{key} is {value}; accepted: {accepted}."));
            }
        }
    }
}
