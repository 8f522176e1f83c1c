using System.Diagnostics.Metrics;
using MArk.Serving.Engine;

namespace MArk.Serving.Diagnostics;

/// <summary>What the engine tells OpenTelemetry of a model's fleet and of what it costs.</summary>
internal sealed class FleetInstruments
{
    private readonly IReportSource _source;
    private readonly KeyValuePair<string, object?> _model;

    public FleetInstruments(Meter meter, IReportSource source)
    {
        _source = source;
        _model = new("mark.model", source.ModelName);
        meter.CreateObservableCounter("mark.serving.cost", Cost, "USD", "What it cost, by kind, and instances by market.");
        if (!source.HasFleet)
        {
            return;
        }
        meter.CreateObservableCounter("mark.serving.cost.on_demand_peak", () => One((double)Take().Cost.OnDemandPeakCost), "USD", "What the dearest fleet that was had would have cost, always on, at on-demand prices.");
        meter.CreateObservableUpDownCounter("mark.serving.fleet.hourly_spend", () => One((double)Take().Fleet.HourlySpend), "USD/h", "What all machines together cost an hour.");
        meter.CreateObservableGauge("mark.serving.fleet.keeper", () => One(Take().Fleet.IsKeeper ? 1L : 0L), "{host}", "1 where this host keeps the fleet, 0 while another holds its lease.");
        meter.CreateObservableUpDownCounter("mark.serving.fleet.planned", () => Take().Fleet.Explanation.Candidates.Select(c => One((long)c.Planned, "mark.offering", c.Offering)), "{instance}", "Instances that are planned, by offering.");
        meter.CreateObservableCounter("mark.serving.fleet.plan_bounds", () => Counts<PlanBoundKind>("mark.plan.bound", NameOf, f => f.Tally.Bounds), "{plan}", "Plans that something kept from being another, by what.");
        meter.CreateObservableCounter("mark.serving.fleet.launch_failures", () => Counts<LaunchFailure>("mark.launch.failure", NameOf, f => f.Tally.LaunchFailures), "{launch}", "Launches that failed, by reason.");
        meter.CreateObservableCounter("mark.serving.fleet.never_ready", () => One(Take().Fleet.Tally.NeverReady), "{instance}", "Machines that were given up since they did not serve in time.");
        meter.CreateObservableCounter("mark.serving.fleet.interruptions", () => One(Take().Fleet.Tally.Interruptions), "{instance}", "Machines whose provider took them away.");
        meter.CreateObservableUpDownCounter("mark.serving.fleet.stopped", () => One((long)Take().Fleet.Stopped), "{instance}", "Standby machines that are stopped.");
        meter.CreateObservableCounter("mark.serving.fleet.resumptions", () => One(Take().Fleet.Tally.Resumptions), "{instance}", "Starts of standby machines.");
        meter.CreateObservableCounter("mark.serving.slo.breaches", () => One(Take().Fleet.Tally.SloBreaks), "{breach}", "Times that the objective was broken, after it had been kept for a while.");
        meter.CreateObservableGauge("mark.serving.slo.attainment", () => One(Take().Fleet.RecentAttainment), "1", "The share of recent requests that were answered in time.");
    }

    private static string NameOf(PlanBoundKind kind) => kind switch
    {
        PlanBoundKind.MinInstances => "min_instances",
        PlanBoundKind.MaxInstances => "max_instances",
        PlanBoundKind.OfferingMaximum => "offering_maximum",
        PlanBoundKind.HourlySpend => "hourly_spend",
        PlanBoundKind.Cooldown => "cooldown",
        PlanBoundKind.LaunchHold => "launch_hold",
        PlanBoundKind.SloBreach => "slo_breach",
        PlanBoundKind.Schedule => "schedule",
        _ => "unknown",
    };

    private static string NameOf(LaunchFailure reason) => reason switch
    {
        LaunchFailure.InsufficientCapacity => "insufficient_capacity",
        LaunchFailure.QuotaExceeded => "quota_exceeded",
        LaunchFailure.Throttled => "throttled",
        LaunchFailure.Misconfigured => "misconfigured",
        _ => "unknown",
    };

    private Snapshot Take()
    {
        var snapshot = new Snapshot();
        _source.Take(snapshot);
        return snapshot;
    }

    private Measurement<T> One<T>(T value) where T : struct => new(value, _model);

    private Measurement<T> One<T>(T value, string key, string tag) where T : struct => new(value, _model, new KeyValuePair<string, object?>(key, tag));

    private IEnumerable<Measurement<long>> Counts<TKind>(string key, Func<TKind, string> name, Func<FleetStatus, long[]> counts) where TKind : struct, Enum
    {
        var all = counts(Take().Fleet);
        return Enum.GetValues<TKind>().Select((kind, i) => One(all[i], key, name(kind)));
    }

    private IEnumerable<Measurement<double>> Cost()
    {
        var cost = Take().Cost;
        (string Market, decimal Dollars)[] instances = [("on_demand", cost.OnDemandCost), ("spot", cost.SpotCost), ("standby", cost.StandbyCost)];
        return
        [
            .. instances.Select(i => new Measurement<double>((double)i.Dollars, _model, new KeyValuePair<string, object?>("mark.cost.kind", "instances"), new KeyValuePair<string, object?>("mark.market", i.Market))),
            One((double)cost.SpilloverCost, "mark.cost.kind", "spillover"),
        ];
    }
}
