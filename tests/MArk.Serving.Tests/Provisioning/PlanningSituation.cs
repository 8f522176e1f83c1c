using MArk.Serving.Provisioning;

namespace MArk.Serving.Tests.Provisioning;

/// <summary>What a planner is given, in minutes, with the usual values where nothing else is said.</summary>
public sealed record PlanningSituation
{
    public static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    /// <summary>The median of each step, requests per second.</summary>
    public required double[] Load { get; init; }

    /// <summary>The quantiles over the median; levels 0.1, 0.5 and 0.9 have these.</summary>
    public double[] Spread { get; init; } = [1, 1, 1];

    public required OfferingState[] Offerings { get; init; }

    public int Min { get; init; }

    public int Max { get; init; } = 1000;

    public double? SpilloverPrice { get; init; }

    public double ServiceLevel { get; init; } = 0.99;

    public decimal? MaxHourlySpend { get; init; }

    public double Burstiness { get; init; }

    public static OfferingState Offering(string name, double price, double capacity, int ready = 0, int max = 1000, int delay = 1, int minimum = 0) => new(
        new InstanceOffering { Name = name, PricePerHour = (decimal)price, MaxInstances = max, LaunchDelay = delay * Minute, MinimumBilling = minimum * Minute },
        capacity, ready, 0, delay * Minute);

    public static double[] Constant(double load, int steps = 60) => [.. Enumerable.Repeat(load, steps)];

    /// <summary>All of it, for a test that failed.</summary>
    public override string ToString()
    {
        var offerings = Offerings.Select(o => FormattableString.Invariant(
            $"{o.Offering.PricePerHour} dollars {o.Capacity}/s {o.Ready}+{o.Launching} of {o.Offering.MaxInstances}, launch {o.LaunchDelay}, minimum {o.Offering.MinimumBilling}"));
        return FormattableString.Invariant(
            $"[{string.Join(' ', Load)}] x [{string.Join(' ', Spread)}], {Min} to {Max}, spillover {SpilloverPrice}, budget {MaxHourlySpend}: {string.Join("; ", offerings)}");
    }

    public FleetPlan Plan(IProvisioningPlanner? planner = null)
    {
        var plan = new FleetPlan(Load.Length, Math.Max(1, Offerings.Length));
        (planner ?? new CostOptimalPlanner()).Plan(Context(), plan);
        return plan;
    }

    public ProvisioningContext Context()
    {
        var forecast = new WorkloadForecast(Load.Length, Minute, [0.1, 0.5, 0.9]) { Start = DateTimeOffset.UnixEpoch };
        for (var t = 0; t < Load.Length; t++)
        {
            for (var level = 0; level < Spread.Length; level++)
            {
                forecast.Quantile(level)[t] = Spread[level] * Load[t];
            }
            forecast.Mean[t] = Load[t];
            forecast.Peak[t] = Spread[^1] * Load[t];
        }
        return new ProvisioningContext
        {
            Now = DateTimeOffset.UnixEpoch,
            Forecast = forecast,
            Offerings = Offerings,
            MinInstances = Min,
            MaxInstances = Max,
            SpilloverPricePerRequest = SpilloverPrice,
            ServiceLevel = ServiceLevel,
            MaxHourlySpend = MaxHourlySpend,
            Burstiness = Burstiness,
        };
    }

    /// <summary>Price of a request on a fully used instance of 1 dollar an hour and 100 requests per second, times so much.</summary>
    public static double Times(double factor) => factor / 3600 / 100;
}
