using static MArk.Serving.Simulation.Reporting.CsvTable;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>A study's data as tables.</summary>
internal static class StudyTables
{
    public static IEnumerable<StudyFile> Of(StudyReport report, IReadOnlyList<ShownPolicy> policies)
    {
        yield return new StudyFile("policies.csv", Policies(report));
        foreach (var policy in policies.Where(p => p.Result.History.Count > 0))
        {
            yield return new StudyFile($"history-{policy.FileName}.csv", History(policy.Result));
        }
        if (policies.Any(p => p.Result.LatencyTail.Count > 0))
        {
            yield return new StudyFile("latency-tail.csv", LatencyTail(report));
        }
    }

    private static byte[] Policies(StudyReport report)
    {
        var table = new CsvTable(
            "policy", "description", "slo_ms", "service_level", "requests", "in_time", "share_within_slo", "meets_service_level", "refused", "spilled", "batches", "mean_batch",
            "p50_ms", "p99_ms", "p99_9_ms", "peak_instances", "launches", "interruptions", "resumptions", "duration_s", "instance_cost_usd", "spillover_cost_usd", "total_cost_usd",
            "usd_per_million_requests", "fractional_bound_usd", "integer_bound_usd", "multiple_of_fractional_bound", "multiple_of_integer_bound");
        foreach (var policy in report.Policies)
        {
            var r = policy.Result;
            table.Add(
                policy.Name, policy.Description, Cell(report.Slo.TotalMilliseconds), Cell(report.ServiceLevel), Cell(r.Requests), Cell(r.InTime), Cell(r.SloAttainment),
                Cell(r.SloAttainment >= report.ServiceLevel), Cell(r.Rejected), Cell(r.Spilled), Cell(r.Batches), Cell(r.MeanBatch),
                Cell(r.P50.TotalMilliseconds), Cell(r.P99.TotalMilliseconds), Cell(r.P999.TotalMilliseconds), Cell(r.PeakInstances), Cell(r.Launched), Cell(r.Interruptions),
                Cell(r.Resumptions), Cell(r.Duration.TotalSeconds), Cell(r.InstanceCost), Cell(r.SpilloverCost), Cell(r.TotalCost),
                r.Requests == 0 ? "" : Cell(Numbers.PerMillion(r)),
                report.Bound is { } f ? Cell(f.Fractional) : "", report.Bound is { } i ? Cell(i.Integer) : "",
                Cell(Numbers.Multiple(r.TotalCost, report.Bound?.Fractional)), Cell(Numbers.Multiple(r.TotalCost, report.Bound?.Integer)));
        }
        return table.ToBytes();
    }

    private static byte[] History(SimulationResult result)
    {
        var table = new CsvTable(
        [
            "start_s", "length_s", "arrivals", "in_time", "spilled", "arrivals_per_s", "forecast_low_per_s", "forecast_median_per_s", "forecast_high_per_s",
            "instance_cost_usd", "spillover_cost_usd", .. result.Offerings.Select(o => "serving " + o), .. result.Offerings.Select(o => "capacity_per_s " + o),
        ]);
        foreach (var step in result.History)
        {
            table.Add(
            [
                Cell(step.Start.TotalSeconds), Cell(step.Length.TotalSeconds), Cell(step.Arrivals), Cell(step.InTime), Cell(step.Spilled),
                Cell(step.Arrivals / step.Length.TotalSeconds), Cell(step.Forecast?.Low ?? double.NaN), Cell(step.Forecast?.Median ?? double.NaN),
                Cell(step.Forecast?.High ?? double.NaN), Cell(step.InstanceCost), Cell(step.SpilloverCost), .. step.Serving.Select(Cell), .. step.Capacity.Select(Cell),
            ]);
        }
        return table.ToBytes();
    }

    private static byte[] LatencyTail(StudyReport report)
    {
        var table = new CsvTable("policy", "latency_ms", "share_above");
        foreach (var policy in report.Policies)
        {
            foreach (var point in policy.Result.LatencyTail)
            {
                table.Add(policy.Name, Cell(point.Latency.TotalMilliseconds), Cell(point.ShareAbove));
            }
        }
        return table.ToBytes();
    }
}
