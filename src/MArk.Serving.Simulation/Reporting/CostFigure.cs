using SkiaSharp;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>What each policy cost, in all and as it came.</summary>
internal sealed class CostFigure : StudyFigure
{
    private const int MostBins = 240;
    private const float BarHeight = 30;
    private const float AxisHeight = 62;
    private const float PanelHeight = 210;
    private const int Columns = 2;

    private static readonly AreaStyle Instances = AreaStyle.Of(0);
    private static readonly AreaStyle Spillover = AreaStyle.Of(1);
    private static readonly LineLook FractionalLook = new(SKColors.Black, 1.6f, [2, 3]);
    private static readonly LineLook IntegerLook = new(SKColors.Black, 1.6f, [9, 4]);

    private readonly StudyReport _report;
    private readonly IReadOnlyList<ShownPolicy> _policies;
    private readonly IReadOnlyList<(ShownPolicy Policy, IReadOnlyList<HistoryBin> Bins)> _histories;
    private readonly FigureLegend _legend;

    private CostFigure(StudyReport report, IReadOnlyList<ShownPolicy> policies)
    {
        _report = report;
        _policies = policies;
        _histories = [.. policies.Where(p => p.Result.History.Count > 0).Select(p => (p, HistoryBin.Of(p.Result.History, MostBins)))];
        _legend = new FigureLegend(Width - 20).Area(Instances, "instances").Area(Spillover, "spillover");
        if (report.Bound is { } bound)
        {
            _legend.Line(FractionalLook, $"least with fractions of machines, {Numbers.Dollars(bound.Fractional)}");
            _legend.Line(IntegerLook, $"least with whole machines, {Numbers.Dollars(bound.Integer)}");
        }
    }

    public override int Height => (int)(BarsBottom + (_histories.Count + Columns - 1) / Columns * PanelHeight);

    private float BarsBottom => HeadingHeight(_legend) + _policies.Count * BarHeight + AxisHeight;

    public static CostFigure Of(StudyReport report, IReadOnlyList<ShownPolicy> policies)
    {
        var hasHistory = policies.Any(p => p.Result.History.Count > 0);
        return new CostFigure(report, policies)
        {
            Name = "cost",
            Title = "Cost of each policy",
            Alternative = "A bar for each policy, instances and spillover stacked: "
                + string.Join("; ", policies.Select(p =>
                    $"{p.Label} {Numbers.Dollars(p.Result.TotalCost)}, of it {Numbers.Dollars(p.Result.SpilloverCost)} for spillover{(MeetsLevel(report, p) ? "" : ", below the service level")}"))
                + (report.Bound is { } bound ? $". Lines mark the least possible: {Numbers.Dollars(bound.Fractional)} with fractions of machines, {Numbers.Dollars(bound.Integer)} with whole ones." : ".")
                + (hasHistory ? " Below, a small figure for each policy has the same two parts as they add up over time." : ""),
            Caption = "Above: what each policy cost in all, by instances and spillover"
                + (report.Bound is null ? "" : ", and the least that any policy could cost that knew all arrivals")
                + (hasHistory ? ". Below: how that added up over time, all on one scale." : "."),
        };
    }

    protected override void Draw(SKCanvas canvas)
    {
        DrawHeading(canvas, _legend);
        DrawBars(canvas, new SKRect(0, HeadingHeight(_legend), Width, BarsBottom));
        if (_histories.Count > 0)
        {
            DrawHistories(canvas);
        }
    }

    private static bool MeetsLevel(StudyReport report, ShownPolicy policy) => policy.Result.SloAttainment >= report.ServiceLevel;

    private void DrawBars(SKCanvas canvas, SKRect place)
    {
        var count = _policies.Count;
        var highest = Math.Max(_policies.Max(p => (double)p.Result.TotalCost), (double)(_report.Bound?.Integer ?? 0));
        new Panel
        {
            // With room for what stands behind the longest bar.
            Across = TickMarks.UpTo(highest > 0 ? highest * 1.32 : 1, 8),
            Up = new TickMarks(-0.6, count - 0.4, [.. _policies.Select((p, i) => ((double)(count - 1 - i), p.Label))], []),
            AcrossLabel = "US dollars",
            Data = (canvas, space) =>
            {
                for (var i = 0; i < count; i++)
                {
                    var result = _policies[i].Result;
                    Bar(canvas, space, count - 1 - i, 0, (double)result.InstanceCost, Instances);
                    Bar(canvas, space, count - 1 - i, (double)result.InstanceCost, (double)result.TotalCost, Spillover);
                }
                if (_report.Bound is { } bound)
                {
                    Upright(canvas, space, (double)bound.Fractional, FractionalLook);
                    Upright(canvas, space, (double)bound.Integer, IntegerLook);
                }
                for (var i = 0; i < count; i++)
                {
                    var text = Numbers.Dollars(_policies[i].Result.TotalCost) + (MeetsLevel(_report, _policies[i]) ? "" : ", below service level");
                    var end = space.At((double)_policies[i].Result.TotalCost, count - 1 - i);
                    Ink.Text(canvas, text, new SKPoint(end.X + 8, end.Y + 5), Ink.TickSize, onWhite: true);
                }
            },
        }.Draw(canvas, place);
    }

    private static void Bar(SKCanvas canvas, DataSpace space, double row, double from, double to, AreaStyle style)
    {
        if (to > from)
        {
            using var outline = new SKPath();
            outline.AddRect(new SKRect(space.X(from), space.Y(row + 0.34), space.X(to), space.Y(row - 0.34)));
            Ink.Area(canvas, outline, style);
        }
    }

    private static void Upright(SKCanvas canvas, DataSpace space, double x, LineLook look)
    {
        Ink.Line(canvas, new SKPoint(space.X(x), space.Bottom), new SKPoint(space.X(x), space.Top), new LineLook(SKColors.White, 3.2f, []));
        Ink.Line(canvas, new SKPoint(space.X(x), space.Bottom), new SKPoint(space.X(x), space.Top), look);
    }

    private void DrawHistories(SKCanvas canvas)
    {
        var (across, unit, second) = TickMarks.Time(_histories.Max(h => h.Bins[^1].End), 8);
        var up = TickMarks.FromZero(_histories.Max(h => (double)(h.Bins[^1].InstanceCost + h.Bins[^1].SpilloverCost)), 4);
        for (var i = 0; i < _histories.Count; i++)
        {
            var (policy, bins) = _histories[i];
            var left = i % Columns * (Width / (float)Columns);
            var top = BarsBottom + i / Columns * PanelHeight;
            new Panel
            {
                Across = across,
                Up = up,
                AcrossLabel = $"{unit} since the start",
                UpLabel = "US dollars",
                Title = policy.Label,
                Data = (canvas, space) =>
                {
                    Sum(canvas, space, bins, second, b => 0, b => (double)b.InstanceCost, Instances);
                    if (bins[^1].SpilloverCost > 0)
                    {
                        Sum(canvas, space, bins, second, b => (double)b.InstanceCost, b => (double)(b.InstanceCost + b.SpilloverCost), Spillover);
                    }
                },
            }.Draw(canvas, new SKRect(left, top, left + Width / (float)Columns, top + PanelHeight));
        }
    }

    private static void Sum(SKCanvas canvas, DataSpace space, IReadOnlyList<HistoryBin> bins, double second, Func<HistoryBin, double> low, Func<HistoryBin, double> high, AreaStyle style)
    {
        using var outline = new SKPath();
        outline.MoveTo(space.At(bins[0].Start.TotalSeconds / second, 0));
        foreach (var bin in bins)
        {
            outline.LineTo(space.At(bin.End.TotalSeconds / second, high(bin)));
        }
        foreach (var bin in bins.Reverse())
        {
            outline.LineTo(space.At(bin.End.TotalSeconds / second, low(bin)));
        }
        outline.Close();
        Ink.Area(canvas, outline, style);
    }
}
