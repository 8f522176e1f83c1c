using System.Xml.Linq;
using SkiaSharp;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>A figure of a study: drawn once for paper and once for pixels, by the same code.</summary>
internal abstract class StudyFigure
{
    /// <summary>How wide every figure is, in units of its own.</summary>
    public const int Width = 880;

    private const int PixelsPerUnit = 2;
    private const float TitleHeight = 26;

    /// <summary>The name of its files, without what says the kind.</summary>
    public required string Name { get; init; }

    /// <summary>What it is.</summary>
    public required string Title { get; init; }

    /// <summary>What is to be seen in it, for those who cannot.</summary>
    public required string Alternative { get; init; }

    /// <summary>How to read it.</summary>
    public required string Caption { get; init; }

    public abstract int Height { get; }

    protected abstract void Draw(SKCanvas canvas);

    /// <summary>How much of the height is the title's and the legend's.</summary>
    protected static float HeadingHeight(FigureLegend legend) => TitleHeight + legend.Height;

    protected void DrawHeading(SKCanvas canvas, FigureLegend legend)
    {
        Ink.Text(canvas, Title, new SKPoint(10, 19), Ink.TitleSize, bold: true);
        legend.Draw(canvas, 10, TitleHeight);
    }

    /// <summary>The drawing as an element that a page can hold.</summary>
    public XElement ToSvg()
    {
        using var drawing = new MemoryStream();
        using (var canvas = SKSvgCanvas.Create(new SKRect(0, 0, Width, Height), drawing))
        {
            Draw(canvas);
        }
        drawing.Position = 0;
        return SvgCleaner.Clean(drawing, Name, Title, Alternative, Width, Height);
    }

    public string ToSvgFile() => "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" + ToSvg().ToString(SaveOptions.DisableFormatting) + "\n";

    public byte[] ToPng()
    {
        using var surface = SKSurface.Create(new SKImageInfo(Width * PixelsPerUnit, Height * PixelsPerUnit, SKColorType.Rgba8888, SKAlphaType.Premul));
        surface.Canvas.Clear(SKColors.White);
        surface.Canvas.Scale(PixelsPerUnit);
        Draw(surface.Canvas);
        using var image = surface.Snapshot();
        using var png = image.Encode(SKEncodedImageFormat.Png, 100);
        return png.ToArray();
    }
}
