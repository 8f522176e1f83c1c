using System.Globalization;
using SkiaSharp;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>A policy's load and forecast against what its instances could serve.</summary>
internal sealed class LoadFigure : StudyFigure
{
    private const int MostBins = 480;
    private const float PlotHeight = 330;

    private static readonly LineLook LoadLook = new(SKColors.Black, 1.6f, []);

    private readonly IReadOnlyList<HistoryBin> _bins;
    private readonly IReadOnlyList<(int Offering, AreaStyle Style)> _areas;
    private readonly FigureLegend _legend;
    private readonly TickMarks _across;
    private readonly TickMarks _up;
    private readonly double _second;
    private readonly string _unit;

    private LoadFigure(IReadOnlyList<HistoryBin> bins, IReadOnlyList<string> offerings, double highest, TimeSpan span)
    {
        _bins = bins;
        // An offering that never served takes no colour; the others keep theirs whatever the policy.
        _areas = [.. Enumerable.Range(0, offerings.Count).Where(o => bins.Any(b => b.Capacity[o] > 0)).Select(o => (o, AreaStyle.Of(o)))];
        (_across, _unit, _second) = TickMarks.Time(span, 12);
        _up = TickMarks.UpTo(highest > 0 ? highest : 1, 6);
        _legend = new FigureLegend(Width - 20);
        _legend.Line(LoadLook, "load");
        if (bins.Any(b => b.Load.Highest > b.Load.Lowest))
        {
            _legend.Add("load, lowest to highest", (canvas, box) => Shade(canvas, box, Ink.Shadow, edge: false));
        }
        if (bins.Any(b => b.Forecast is not null))
        {
            _legend.Add("forecast, low to high", (canvas, box) => Shade(canvas, box, Ink.Forecast, edge: true));
        }
        foreach (var (offering, style) in _areas)
        {
            _legend.Area(style, "capacity of " + ShownPolicy.Printable(offerings[offering]));
        }
    }

    /// <summary>The policy's whole name.</summary>
    public required string Policy { get; init; }

    public override int Height => (int)(HeadingHeight(_legend) + PlotHeight);

    /// <summary>A figure for each policy with a history, all on one scale.</summary>
    public static IEnumerable<LoadFigure> Of(IReadOnlyList<ShownPolicy> policies)
    {
        var drawn = policies.Where(p => p.Result.History.Count > 0).Select(p => (Policy: p, Bins: HistoryBin.Of(p.Result.History, MostBins))).ToList();
        if (drawn.Count == 0)
        {
            yield break;
        }
        var span = drawn.Max(d => d.Bins[^1].End);
        var served = drawn.Max(d => d.Bins.Max(b => Math.Max(b.Load.Highest, b.Capacity.Sum())));
        var forecast = drawn.Max(d => d.Bins.Max(b => b.Forecast?.High ?? 0));
        // A forecast beside all measure must not flatten the rest.
        var highest = Math.Max(served, Math.Min(forecast, 1.5 * served)) * 1.02;
        foreach (var (policy, bins) in drawn)
        {
            var history = policy.Result.History;
            var rates = history.Select(s => s.Arrivals / s.Length.TotalSeconds).ToList();
            var capacities = history.Select(s => s.Capacity.Sum()).ToList();
            var above = rates.Zip(capacities).Count(p => p.First > p.Second);
            var forecasts = history.Select((s, i) => (s.Forecast, Rate: rates[i])).Where(p => p.Forecast is not null).Select(p => (Band: p.Forecast!.Value, p.Rate)).ToList();
            var covered = forecasts.Count(p => p.Rate >= p.Band.Low && p.Rate <= p.Band.High);
            var perBin = (history.Count + bins.Count - 1) / bins.Count;
            var step = history[0].Length.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture);
            yield return new LoadFigure(bins, policy.Result.Offerings, highest, span)
            {
                Policy = policy.Name,
                Name = "load-" + policy.FileName,
                Title = $"Load and capacity under {policy.Label}",
                Alternative = FormattableString.Invariant(
                    $"The load over time, from {Numbers.Short(rates.Min())} to {Numbers.Short(rates.Max())} requests per second, before the stacked capacity of the instances that serve, from {Numbers.Short(capacities.Min())} to {Numbers.Short(capacities.Max())} requests per second. The load is above the capacity in {above} of {history.Count} steps.")
                    + (forecasts.Count == 0 ? " There is no forecast." : FormattableString.Invariant($" The load is within the forecast band in {covered} of the {forecasts.Count} steps that have one.")),
                Caption = $"{policy.Name}: arrivals per second (line) before what the serving instances could take (hatched, stacked by offering)"
                    + (forecasts.Count == 0 ? ". The policy made no forecast" : ", and the forecast that the last plan before each step was made from (band, lowest to highest quantile)")
                    + (perBin == 1 ? FormattableString.Invariant($". Each step is {step} s") : FormattableString.Invariant($". Each point is {perBin} steps of {step} s: the mean, and for load and forecast the lowest and highest of them"))
                    + (bins.Any(b => b.Forecast?.High > highest) ? ". The band goes on above the figure" : "")
                    + ". All policies are on one scale.",
            };
        }
    }

    protected override void Draw(SKCanvas canvas)
    {
        DrawHeading(canvas, _legend);
        new Panel
        {
            Across = _across,
            Up = _up,
            AcrossLabel = $"{_unit} since the start",
            UpLabel = "requests per second",
            Data = DrawData,
        }.Draw(canvas, new SKRect(0, HeadingHeight(_legend), Width, Height));
    }

    private void DrawData(SKCanvas canvas, DataSpace space)
    {
        var below = new double[_bins.Count];
        foreach (var (offering, style) in _areas)
        {
            var above = below.Select((b, i) => b + _bins[i].Capacity[offering]).ToArray();
            // Where an offering does not serve it has no area, and no line either.
            foreach (var (first, count) in Runs(i => above[i] > below[i]))
            {
                using var outline = Band(space, first, count, i => below[i], i => above[i]);
                Ink.Area(canvas, outline, style);
            }
            below = above;
        }
        foreach (var (first, count) in Runs(i => _bins[i].Forecast is not null))
        {
            using var band = Band(space, first, count, i => _bins[i].Forecast!.Value.Low, i => _bins[i].Forecast!.Value.High);
            Shade(canvas, band, Ink.Forecast, edge: true);
        }
        if (_bins.Any(b => b.Load.Highest > b.Load.Lowest))
        {
            using var band = Band(space, 0, _bins.Count, i => _bins[i].Load.Lowest, i => _bins[i].Load.Highest);
            Shade(canvas, band, Ink.Shadow, edge: false);
        }
        using var load = new SKPath();
        Steps(load, space, 0, _bins.Count, i => _bins[i].MeanLoad);
        Ink.Line(canvas, load, new LineLook(SKColors.White, 3.2f, []));
        Ink.Line(canvas, load, LoadLook);
    }

    private IEnumerable<(int First, int Count)> Runs(Func<int, bool> holds)
    {
        var first = 0;
        for (var i = 0; i <= _bins.Count; i++)
        {
            if (i < _bins.Count && holds(i) && (i == first || _bins[i].Start == _bins[i - 1].End))
            {
                continue;
            }
            if (i > first)
            {
                yield return (first, i - first);
            }
            first = i < _bins.Count && holds(i) ? i : i + 1;
        }
    }

    private SKPath Band(DataSpace space, int first, int count, Func<int, double> low, Func<int, double> high)
    {
        var outline = new SKPath();
        Steps(outline, space, first, count, high);
        using var bottom = new SKPath();
        Steps(bottom, space, first, count, low);
        var back = bottom.Points;
        for (var i = back.Length - 1; i >= 0; i--)
        {
            outline.LineTo(back[i]);
        }
        outline.Close();
        return outline;
    }

    /// <summary>A staircase, with corners only where the value changes.</summary>
    private void Steps(SKPath path, DataSpace space, int first, int count, Func<int, double> value)
    {
        var last = value(first);
        path.MoveTo(space.At(_bins[first].Start.TotalSeconds / _second, last));
        for (var i = first + 1; i < first + count; i++)
        {
            var next = value(i);
            if (next != last)
            {
                var x = _bins[i].Start.TotalSeconds / _second;
                path.LineTo(space.At(x, last));
                path.LineTo(space.At(x, next));
                last = next;
            }
        }
        path.LineTo(space.At(_bins[first + count - 1].End.TotalSeconds / _second, last));
    }

    private static void Shade(SKCanvas canvas, SKPath outline, SKColor color, bool edge)
    {
        using var paint = new SKPaint { IsAntialias = true, Color = color.WithAlpha(0x48) };
        canvas.DrawPath(outline, paint);
        if (edge)
        {
            Ink.Line(canvas, outline, new LineLook(Ink.Mix(color, SKColors.Black, 0.25), 0.8f, []));
        }
    }

    private static void Shade(SKCanvas canvas, SKRect box, SKColor color, bool edge)
    {
        using var outline = new SKPath();
        outline.AddRect(new SKRect(box.Left, box.Top + 3, box.Right, box.Bottom - 3));
        Shade(canvas, outline, color, edge);
    }
}
