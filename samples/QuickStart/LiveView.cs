using MArk.Serving.Diagnostics;
using Spectre.Console;

namespace QuickStart;

/// <summary>Shows reports as they come: a table on a terminal, plain lines elsewhere. Keeps what the summary needs. "fleet" is instances ready + launching.</summary>
internal sealed class LiveView
{
    private const int Rows = 20;
    private static readonly string[] Columns = ["s", "req/s", "expect", "fleet", "batch", "p50 ms", "p99 ms", "SLO %", "spilled", "refused", "dollars"];

    /// <summary>The most instances that served at a time.</summary>
    public int PeakInstances { get; private set; }

    /// <summary>The mean batch while the load was highest.</summary>
    public double MeanBatchAtPeak { get; private set; }

    private double _peakRate;

    public async Task ShowAsync(IAsyncEnumerable<ModelReport> reports)
    {
        if (Console.IsOutputRedirected || !AnsiConsole.Profile.Capabilities.Ansi)
        {
            await PrintAsync(reports);
            return;
        }
        var table = new Table().Border(TableBorder.Horizontal);
        foreach (var column in Columns)
        {
            table.AddColumn(new TableColumn(column).RightAligned().NoWrap().Padding(0, 0, 0, 0).Width(Math.Max(5, column.Length)));
        }
        await AnsiConsole.Live(table).StartAsync(async live =>
        {
            var start = DateTimeOffset.MinValue;
            await foreach (var report in reports)
            {
                start = start == DateTimeOffset.MinValue ? report.At - report.Interval : start;
                Keep(report);
                if (table.Rows.Count == Rows)
                {
                    table.RemoveRow(0);
                }
                table.AddRow([.. Cells(report, start).Select(cell => new Markup(Markup.Escape(cell)))]);
                live.Refresh();
            }
        });
    }

    private async Task PrintAsync(IAsyncEnumerable<ModelReport> reports)
    {
        Console.WriteLine(string.Concat(Columns.Select(c => c.PadLeft(9))));
        var start = DateTimeOffset.MinValue;
        await foreach (var report in reports)
        {
            start = start == DateTimeOffset.MinValue ? report.At - report.Interval : start;
            Keep(report);
            Console.WriteLine(string.Concat(Cells(report, start).Select(c => c.PadLeft(9))));
        }
    }

    private static string[] Cells(ModelReport r, DateTimeOffset start) =>
    [
        $"{(r.At - start).TotalSeconds:0.0}", $"{r.ArrivalRate:0}", $"{r.ForecastPeak:0}", $"{r.ReadyInstances}+{r.LaunchingInstances}", $"{r.MeanBatch:0.0}",
        $"{r.P50.TotalMilliseconds:0.0}", $"{r.P99.TotalMilliseconds:0.0}", $"{100 * r.SloAttainment:0.0}", $"{r.Spilled}", $"{r.Rejected}", $"{r.Cost.Total:0.00}",
    ];

    private void Keep(ModelReport report)
    {
        PeakInstances = Math.Max(PeakInstances, report.ReadyInstances);
        if (report.ArrivalRate > _peakRate)
        {
            (_peakRate, MeanBatchAtPeak) = (report.ArrivalRate, report.MeanBatch);
        }
    }
}
