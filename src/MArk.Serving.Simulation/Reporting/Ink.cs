using SkiaSharp;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>How an area is hatched, so that it is told from its neighbours without colour too.</summary>
internal enum Hatch
{
    Rising,
    Falling,
    Horizontal,
    Vertical,
    Crossed,
    None,
}

/// <summary>How points of a line are marked, so that it is told from others without colour too.</summary>
internal enum Marker
{
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
    TriangleDown,
    Plus,
    OpenCircle,
}

/// <summary>An area's looks.</summary>
internal sealed record AreaStyle(SKColor Fill, SKColor Line, Hatch Hatch)
{
    /// <summary>The looks of one of several areas.</summary>
    public static AreaStyle Of(int index)
    {
        var color = Ink.Palette[index % Ink.Palette.Length];
        return new AreaStyle(Ink.Mix(color, SKColors.White, 0.55), Ink.Mix(color, SKColors.Black, 0.3), (Hatch)(index % 6));
    }
}

/// <summary>A line's looks: the lengths of dash and gap in turn, none for a solid line.</summary>
internal sealed record LineLook(SKColor Color, float Width, float[] Dashes, Marker? Marker = null)
{
    private static readonly float[][] DashStyles = [[], [9, 4], [2, 3], [9, 3, 2, 3], [16, 4], [5, 3], [9, 3, 2, 3, 2, 3]];

    /// <summary>The looks of one of several lines.</summary>
    public static LineLook Of(int index) =>
        new(Ink.LinePalette[index % Ink.LinePalette.Length], 2, DashStyles[index % DashStyles.Length], (Marker)(index % 8));
}

/// <summary>What figures are drawn with: black on white, the Okabe-Ito palette (Okabe and Ito, Color Universal Design, 2008), which the colour-blind can tell apart, and hatches, dashes and markers beside it.</summary>
internal static class Ink
{
    public const float TickSize = 12;
    public const float TextSize = 13;
    public const float TitleSize = 15;

    private const float HatchSpacing = 7;

    /// <summary>The colours of areas, neighbours of unlike brightness.</summary>
    public static readonly SKColor[] Palette =
    [
        new(0x56, 0xB4, 0xE9), new(0xE6, 0x9F, 0x00), new(0x00, 0x9E, 0x73), new(0xCC, 0x79, 0xA7), new(0xF0, 0xE4, 0x42), new(0x00, 0x72, 0xB2), new(0xD5, 0x5E, 0x00),
    ];

    /// <summary>The colours of lines, without those too bright for white paper.</summary>
    public static readonly SKColor[] LinePalette =
    [
        SKColors.Black, new(0x00, 0x72, 0xB2), new(0xD5, 0x5E, 0x00), new(0x00, 0x9E, 0x73), new(0xCC, 0x79, 0xA7), new(0xE6, 0x9F, 0x00), new(0x56, 0xB4, 0xE9),
    ];

    /// <summary>Nearly black, for what is seen through: Skia writes no opacity for black itself into an SVG.</summary>
    public static readonly SKColor Shadow = new(0x11, 0x11, 0x11);

    public static readonly SKColor Forecast = new(0xD5, 0x5E, 0x00);

    /// <summary>The font of all text: the first of these that the machine has, since a system's default may be any, a bold serif for one.</summary>
    public static readonly string FontName =
        Array.Find(["DejaVu Sans", "Verdana", "Liberation Sans", "Arial", "Helvetica", "Noto Sans", "Open Sans"], SKFontManager.Default.FontFamilies.Contains) ?? ScottPlot.Fonts.Sans;

    private static readonly SKTypeface Regular = SKTypeface.FromFamilyName(FontName) ?? SKTypeface.Default;

    private static readonly SKTypeface Bold = SKTypeface.FromFamilyName(FontName, SKFontStyle.Bold) ?? SKTypeface.Default;

    /// <summary>Whether the machine has a font that figures' text can be set in.</summary>
    public static bool HasFont { get; } = Regular.ContainsGlyph('0');

    public static SKColor Mix(SKColor color, SKColor with, double share) => new(
        (byte)Math.Round(color.Red + (with.Red - color.Red) * share),
        (byte)Math.Round(color.Green + (with.Green - color.Green) * share),
        (byte)Math.Round(color.Blue + (with.Blue - color.Blue) * share));

    public static void Area(SKCanvas canvas, SKPath outline, AreaStyle style)
    {
        using var paint = new SKPaint { IsAntialias = true, Color = style.Fill };
        canvas.DrawPath(outline, paint);
        canvas.Save();
        canvas.ClipPath(outline, SKClipOperation.Intersect, antialias: true);
        using var lines = HatchLines(outline.Bounds, style.Hatch);
        paint.IsStroke = true;
        paint.StrokeWidth = 0.8f;
        paint.Color = style.Line;
        canvas.DrawPath(lines, paint);
        canvas.Restore();
        canvas.DrawPath(outline, paint);
    }

    public static void Line(SKCanvas canvas, SKPath path, LineLook look)
    {
        using var paint = new SKPaint { IsAntialias = true, IsStroke = true, Color = look.Color, StrokeWidth = look.Width, StrokeJoin = SKStrokeJoin.Round };
        using var dashes = look.Dashes.Length > 0 ? SKPathEffect.CreateDash(look.Dashes, 0) : null;
        paint.PathEffect = dashes;
        canvas.DrawPath(path, paint);
    }

    public static void Line(SKCanvas canvas, SKPoint from, SKPoint to, LineLook look)
    {
        using var path = new SKPath();
        path.MoveTo(from);
        path.LineTo(to);
        Line(canvas, path, look);
    }

    public static void Mark(SKCanvas canvas, SKPoint at, LineLook look)
    {
        const float Size = 4.5f;
        using var paint = new SKPaint { IsAntialias = true, Color = look.Color, StrokeWidth = 1.8f };
        using var shape = new SKPath();
        switch (look.Marker)
        {
            case Marker.Circle:
                canvas.DrawCircle(at, Size * 0.9f, paint);
                return;
            case Marker.OpenCircle:
                paint.Color = SKColors.White;
                canvas.DrawCircle(at, Size * 0.9f, paint);
                paint.Color = look.Color;
                paint.IsStroke = true;
                canvas.DrawCircle(at, Size * 0.9f, paint);
                return;
            case Marker.Square:
                shape.AddRect(new SKRect(at.X - Size * 0.85f, at.Y - Size * 0.85f, at.X + Size * 0.85f, at.Y + Size * 0.85f));
                break;
            case Marker.Triangle:
                shape.AddPoly([new(at.X, at.Y - Size), new(at.X + Size, at.Y + Size * 0.8f), new(at.X - Size, at.Y + Size * 0.8f)]);
                break;
            case Marker.TriangleDown:
                shape.AddPoly([new(at.X, at.Y + Size), new(at.X + Size, at.Y - Size * 0.8f), new(at.X - Size, at.Y - Size * 0.8f)]);
                break;
            case Marker.Diamond:
                shape.AddPoly([new(at.X, at.Y - Size * 1.2f), new(at.X + Size, at.Y), new(at.X, at.Y + Size * 1.2f), new(at.X - Size, at.Y)]);
                break;
            case Marker.Cross:
                paint.IsStroke = true;
                shape.AddPoly([new(at.X - Size, at.Y - Size), new(at.X + Size, at.Y + Size)], close: false);
                shape.AddPoly([new(at.X - Size, at.Y + Size), new(at.X + Size, at.Y - Size)], close: false);
                break;
            case Marker.Plus:
                paint.IsStroke = true;
                shape.AddPoly([new(at.X - Size * 1.2f, at.Y), new(at.X + Size * 1.2f, at.Y)], close: false);
                shape.AddPoly([new(at.X, at.Y - Size * 1.2f), new(at.X, at.Y + Size * 1.2f)], close: false);
                break;
            default:
                return;
        }
        canvas.DrawPath(shape, paint);
    }

    public static void Text(SKCanvas canvas, string text, SKPoint at, float size = TextSize, bool bold = false, SKTextAlign align = SKTextAlign.Left, bool onWhite = false)
    {
        using var font = new SKFont(bold ? Bold : Regular, size);
        using var paint = new SKPaint { IsAntialias = true, Color = SKColors.Black };
        if (onWhite)
        {
            var width = font.MeasureText(text);
            var left = align switch { SKTextAlign.Right => at.X - width, SKTextAlign.Center => at.X - width / 2, _ => at.X };
            using var white = new SKPaint { Color = SKColors.White.WithAlpha(0xD8) };
            canvas.DrawRect(new SKRect(left - 3, at.Y - size, left + width + 3, at.Y + size * 0.3f), white);
        }
        canvas.DrawText(text, at.X, at.Y, align, font, paint);
    }

    public static float TextWidth(string text, float size = TextSize)
    {
        using var font = new SKFont(Regular, size);
        return font.MeasureText(text);
    }

    private static SKPath HatchLines(SKRect bounds, Hatch hatch)
    {
        var lines = new SKPath();
        void Stroke(float x0, float y0, float x1, float y1)
        {
            lines.MoveTo(x0, y0);
            lines.LineTo(x1, y1);
        }
        // Lines lie on multiples of the spacing, so that areas side by side have one hatch.
        static float First(float from) => MathF.Ceiling(from / HatchSpacing) * HatchSpacing;
        if (hatch is Hatch.Rising or Hatch.Crossed)
        {
            for (var sum = First(bounds.Left + bounds.Top); sum < bounds.Right + bounds.Bottom; sum += HatchSpacing)
            {
                Stroke(sum - bounds.Top, bounds.Top, sum - bounds.Bottom, bounds.Bottom);
            }
        }
        if (hatch is Hatch.Falling or Hatch.Crossed)
        {
            for (var difference = First(bounds.Left - bounds.Bottom); difference < bounds.Right - bounds.Top; difference += HatchSpacing)
            {
                Stroke(difference + bounds.Top, bounds.Top, difference + bounds.Bottom, bounds.Bottom);
            }
        }
        if (hatch is Hatch.Horizontal)
        {
            for (var y = First(bounds.Top); y < bounds.Bottom; y += HatchSpacing)
            {
                Stroke(bounds.Left, y, bounds.Right, y);
            }
        }
        if (hatch is Hatch.Vertical)
        {
            for (var x = First(bounds.Left); x < bounds.Right; x += HatchSpacing)
            {
                Stroke(x, bounds.Top, x, bounds.Bottom);
            }
        }
        return lines;
    }
}
