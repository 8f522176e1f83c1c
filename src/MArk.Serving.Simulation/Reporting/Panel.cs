using ScottPlot;
using ScottPlot.TickGenerators;
using SkiaSharp;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>Where data lies on the paper.</summary>
internal sealed class DataSpace(IAxes axes)
{
    public float Left => axes.DataRect.Left;

    public float Right => axes.DataRect.Right;

    public float Top => axes.DataRect.Top;

    public float Bottom => axes.DataRect.Bottom;

    public float X(double x) => axes.GetPixelX(x);

    public float Y(double y) => axes.GetPixelY(y);

    public SKPoint At(double x, double y) => new(X(x), Y(y));
}

/// <summary>A pair of axes and what is drawn between them.</summary>
internal sealed class Panel
{
    public required TickMarks Across { get; init; }

    public required TickMarks Up { get; init; }

    public string AcrossLabel { get; init; } = "";

    public string UpLabel { get; init; } = "";

    public string Title { get; init; } = "";

    public required Action<SKCanvas, DataSpace> Data { get; init; }

    public void Draw(SKCanvas canvas, SKRect place)
    {
        using var plot = new Plot();
        // The paper is drawn on before and after.
        plot.RenderManager.ClearCanvasBeforeEachRender = false;
        plot.Axes.SetLimits(Across.Lowest, Across.Highest, Up.Lowest, Up.Highest);
        plot.Axes.Right.FrameLineStyle.Width = 0;
        plot.Axes.Top.FrameLineStyle.Width = 0;
        plot.Grid.MajorLineColor = Colors.Black.WithAlpha(0.15);
        Dress(plot.Axes.Bottom, Across, AcrossLabel);
        Dress(plot.Axes.Left, Up, UpLabel);
        plot.Axes.Title.Label.Text = Title;
        plot.Axes.Title.Label.FontSize = Ink.TextSize;
        plot.Axes.Title.Label.FontName = Ink.FontName;
        plot.Add.Plottable(new DataLayer(Data));
        plot.Render(canvas, new PixelRect(place.Left, place.Right, place.Bottom, place.Top));
    }

    private static void Dress(IAxis axis, TickMarks marks, string label)
    {
        var ticks = new NumericManual();
        foreach (var (position, text) in marks.Major)
        {
            ticks.AddMajor(position, text);
        }
        foreach (var position in marks.Minor)
        {
            ticks.AddMinor(position);
        }
        axis.TickGenerator = ticks;
        axis.TickLabelStyle.FontSize = Ink.TickSize;
        axis.TickLabelStyle.FontName = Ink.FontName;
        axis.Label.Text = label;
        axis.Label.FontName = Ink.FontName;
        axis.Label.FontSize = Ink.TextSize;
        axis.Label.Bold = false;
    }

    private sealed class DataLayer(Action<SKCanvas, DataSpace> draw) : IPlottable
    {
        public bool IsVisible { get; set; } = true;

        public IAxes Axes { get; set; } = new Axes();

        public IEnumerable<LegendItem> LegendItems => [];

        public AxisLimits GetAxisLimits() => AxisLimits.NoLimits;

        public void Render(RenderPack rp) => draw(rp.Canvas, new DataSpace(Axes));
    }
}
