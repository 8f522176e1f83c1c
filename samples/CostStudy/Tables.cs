using System.Globalization;
using MArk.Serving.Simulation;
using MArk.Serving.Simulation.Reporting;
using Spectre.Console;

namespace CostStudy;

/// <summary>What is printed.</summary>
internal static class Tables
{
    public static void Print(StudyReport report)
    {
        var table = new Table().Title(Markup.Escape(report.Title)).Border(TableBorder.Rounded);
        table.AddColumn("policy");
        foreach (var column in new[] { "dollars", "per million", "in time", "p50 ms", "p99 ms", "p99.9 ms", "spilled", "launched", "x LP bound", "x bound" })
        {
            table.AddColumn(new TableColumn(column).RightAligned());
        }
        foreach (var (name, _, result) in report.Policies)
        {
            table.AddRow(
                Markup.Escape(name), Number(result.TotalCost, "0.00"), Number(1_000_000 * result.TotalCost / Math.Max(1, result.Requests), "0.000"),
                result.SloAttainment.ToString("P2", CultureInfo.InvariantCulture) + (result.SloAttainment < report.ServiceLevel ? " *" : ""),
                Number((decimal)result.P50.TotalMilliseconds, "0"), Number((decimal)result.P99.TotalMilliseconds, "0"), Number((decimal)result.P999.TotalMilliseconds, "0"),
                ((double)result.Spilled / Math.Max(1, result.Requests)).ToString("P2", CultureInfo.InvariantCulture), Number(result.Launched, "0"),
                Over(result.TotalCost, report.Bound!.Fractional)?.ToString(CultureInfo.InvariantCulture) ?? "", Over(result.TotalCost, report.Bound.Integer)?.ToString(CultureInfo.InvariantCulture) ?? "");
        }
        AnsiConsole.Write(table);
        if (report.Policies.Any(p => p.Result.SloAttainment < report.ServiceLevel))
        {
            AnsiConsole.MarkupLineInterpolated($"* below the service level, {report.ServiceLevel:P1}");
        }
    }

    /// <summary>A cost as a multiple of a bound; nothing where the bound is 0.</summary>
    public static double? Over(decimal cost, decimal bound) => bound > 0 ? Math.Round((double)(cost / bound), 3) : null;

    private static string Number(decimal value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
