using SkiaSharp;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>How many of the answered requests took longer than a time, for all policies.</summary>
internal sealed class LatencyFigure : StudyFigure
{
    private const float PlotHeight = 400;

    private static readonly LineLook SloLook = new(SKColors.Black, 1.6f, [8, 4]);
    private static readonly LineLook LevelLook = new(new SKColor(0x55, 0x55, 0x55), 1.2f, [2, 3]);

    private readonly IReadOnlyList<(IReadOnlyList<LatencyTailPoint> Tail, LineLook Look)> _lines;
    private readonly FigureLegend _legend;
    private readonly TickMarks _across;
    private readonly TickMarks _up;
    private readonly TimeSpan _slo;
    private readonly double _serviceLevel;

    private LatencyFigure(StudyReport report, IReadOnlyList<ShownPolicy> policies)
    {
        _slo = report.Slo;
        _serviceLevel = report.ServiceLevel;
        _lines = [.. policies.Select((p, i) => (p.Result.LatencyTail, LineLook.Of(i))).Where(l => l.LatencyTail.Count > 0)];
        _legend = new FigureLegend(Width - 20);
        for (var i = 0; i < policies.Count; i++)
        {
            if (policies[i].Result.LatencyTail.Count > 0)
            {
                _legend.Line(LineLook.Of(i), policies[i].Label);
            }
        }
        var latencies = _lines.SelectMany(l => l.Tail).Select(p => Milliseconds(p.Latency)).Append(_slo.TotalMilliseconds).ToList();
        _across = TickMarks.Logarithmic(latencies.Min() / 1.15, latencies.Max() * 1.2, v => v.ToString("#,0.####", System.Globalization.CultureInfo.InvariantCulture));
        var rarest = _lines.SelectMany(l => l.Tail).Select(p => p.ShareAbove).Where(s => s > 0).Append(1 - _serviceLevel).Min();
        // Below one in ten million there is nothing but the last request.
        _up = TickMarks.Logarithmic(Math.Max(1e-7, Math.Pow(10, Math.Floor(Math.Log10(rarest) + 1e-9))), 1, Numbers.Percent);
    }

    public override int Height => (int)(HeadingHeight(_legend) + PlotHeight);

    /// <summary>The figure; <see langword="null"/> if no policy has a latency tail.</summary>
    public static LatencyFigure? Of(StudyReport report, IReadOnlyList<ShownPolicy> policies)
    {
        var drawn = policies.Where(p => p.Result.LatencyTail.Count > 0).ToList();
        if (drawn.Count == 0)
        {
            return null;
        }
        var slo = Numbers.Milliseconds(report.Slo);
        return new LatencyFigure(report, policies)
        {
            Name = "latency",
            Title = "Share of answered requests that took longer",
            Alternative = $"A falling line for each policy: the share of answered requests that took longer than a latency. A vertical line marks the SLO of {slo}. Longer than it took: "
                + string.Join(", ", drawn.Select(p => $"{Numbers.Short(ShareAbove(p.Result.LatencyTail, report.Slo) * 100)} % under {p.Label}")) + ".",
            Caption = $"The share of answered requests (up) that took longer than a latency (across), both on logarithmic scales. A policy whose line passes below where the SLO of {slo} and "
                + $"the {Numbers.Percent(Math.Round(1 - report.ServiceLevel, 9))} that the service level allows cross has answered in time; requests that were refused are in no line, but in the table.",
        };
    }

    protected override void Draw(SKCanvas canvas)
    {
        DrawHeading(canvas, _legend);
        new Panel
        {
            Across = _across,
            Up = _up,
            AcrossLabel = "latency, ms",
            UpLabel = "share that took longer",
            Data = DrawData,
        }.Draw(canvas, new SKRect(0, HeadingHeight(_legend), Width, Height));
    }

    private void DrawData(SKCanvas canvas, DataSpace space)
    {
        var level = space.Y(Math.Log10(1 - _serviceLevel));
        Ink.Line(canvas, new SKPoint(space.Left, level), new SKPoint(space.Right, level), LevelLook);
        var slo = space.X(Math.Log10(_slo.TotalMilliseconds));
        Ink.Line(canvas, new SKPoint(slo, space.Bottom), new SKPoint(slo, space.Top), SloLook);
        foreach (var (tail, look) in _lines)
        {
            DrawTail(canvas, space, tail, look);
        }
        Ink.Text(canvas, $"service level: {Numbers.Percent(Math.Round(1 - _serviceLevel, 9))} may take longer", new SKPoint(space.Right - 4, level - 6), Ink.TickSize,
            align: SKTextAlign.Right, onWhite: true);
        var isLeft = slo < (space.Left + space.Right) / 2;
        Ink.Text(canvas, $"SLO {Numbers.Milliseconds(_slo)}", new SKPoint(slo + (isLeft ? 8 : -8), space.Top + 16), Ink.TextSize, bold: true,
            align: isLeft ? SKTextAlign.Left : SKTextAlign.Right, onWhite: true);
    }

    private void DrawTail(SKCanvas canvas, DataSpace space, IReadOnlyList<LatencyTailPoint> tail, LineLook look)
    {
        var floor = Math.Pow(10, _up.Lowest);
        using var path = new SKPath();
        var marks = new List<SKPoint>();
        // The next whole power of ten that is to be marked, so that lines that run together are told apart.
        var nextMark = 0;
        for (var i = 0; i < tail.Count; i++)
        {
            var share = Math.Max(tail[i].ShareAbove, floor);
            var at = space.At(Math.Log10(Milliseconds(tail[i].Latency)), Math.Log10(share));
            if (i == 0)
            {
                path.MoveTo(at);
            }
            else
            {
                path.LineTo(at);
            }
            if (Math.Log10(share) <= nextMark || i == tail.Count - 1)
            {
                marks.Add(at);
                nextMark = (int)Math.Ceiling(Math.Log10(share) - 1e-9) - 1;
            }
            if (share <= floor)
            {
                break;
            }
        }
        Ink.Line(canvas, path, look);
        marks.ForEach(m => Ink.Mark(canvas, m, look));
    }

    private static double ShareAbove(IReadOnlyList<LatencyTailPoint> tail, TimeSpan latency)
    {
        var share = 1.0;
        foreach (var point in tail.TakeWhile(p => p.Latency <= latency))
        {
            share = point.ShareAbove;
        }
        return share;
    }

    /// <summary>No less than a microsecond, since a logarithmic axis has no 0.</summary>
    private static double Milliseconds(TimeSpan latency) => Math.Max(1e-3, latency.TotalMilliseconds);
}
