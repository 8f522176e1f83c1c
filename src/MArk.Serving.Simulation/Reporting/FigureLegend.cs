using SkiaSharp;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>What a figure's areas and lines stand for, in rows as wide as the figure.</summary>
internal sealed class FigureLegend
{
    public const float RowHeight = 22;

    private const float SwatchWidth = 34;
    private const float Gap = 6;
    private const float Between = 22;

    private readonly List<(Action<SKCanvas, SKRect> Swatch, string Label, float X, int Row)> _entries = [];
    private readonly float _width;
    private float _x;
    private int _row;

    public FigureLegend(float width) => _width = width;

    public float Height => (_row + 1) * RowHeight;

    public FigureLegend Area(AreaStyle style, string label) => Add(label, (canvas, box) =>
    {
        using var outline = new SKPath();
        outline.AddRect(new SKRect(box.Left, box.Top + 2, box.Right, box.Bottom - 2));
        Ink.Area(canvas, outline, style);
    });

    public FigureLegend Line(LineLook look, string label) => Add(label, (canvas, box) =>
    {
        Ink.Line(canvas, new SKPoint(box.Left, box.MidY), new SKPoint(box.Right, box.MidY), look);
        Ink.Mark(canvas, new SKPoint(box.MidX, box.MidY), look);
    });

    public FigureLegend Add(string label, Action<SKCanvas, SKRect> swatch)
    {
        var width = SwatchWidth + Gap + Ink.TextWidth(label);
        if (_x > 0 && _x + width > _width)
        {
            _x = 0;
            _row++;
        }
        _entries.Add((swatch, label, _x, _row));
        _x += width + Between;
        return this;
    }

    public void Draw(SKCanvas canvas, float left, float top)
    {
        foreach (var (swatch, label, x, row) in _entries)
        {
            var y = top + row * RowHeight;
            swatch(canvas, new SKRect(left + x, y + 2, left + x + SwatchWidth, y + RowHeight - 4));
            Ink.Text(canvas, label, new SKPoint(left + x + SwatchWidth + Gap, y + RowHeight - 7));
        }
    }
}
