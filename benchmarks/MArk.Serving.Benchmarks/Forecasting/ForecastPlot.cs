using System.Globalization;
using System.Net;
using System.Text;

namespace MArk.Serving.Benchmarks.Forecasting;

/// <summary>An SVG of the truth against the bands that were forecast for it, one interval ahead and half the horizon ahead.</summary>
internal sealed class ForecastPlot(ForecastSeries series, string predictor, int horizon)
{
    private const int Width = 1200;
    private const int Height = 300;
    private const int Margin = 48;

    private readonly int[] _ahead = [.. new[] { 1, Math.Max(1, horizon / 2) }.Distinct()];
    private readonly Dictionary<(int Interval, int Ahead), double[]> _quantiles = [];

    /// <summary>Keeps what was forecast after an interval: 0.5, 0.9 and 0.99, and the mean.</summary>
    public void Add(int interval, WorkloadForecast forecast)
    {
        var levels = forecast.Levels;
        foreach (var ahead in _ahead)
        {
            _quantiles[(interval + ahead, ahead)] =
                [.. new[] { 0.5, 0.9, 0.99 }.Select(level => forecast.Quantile(levels.IndexOf(level))[ahead - 1])];
        }
    }

    public void Save(string path)
    {
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width}\" height=\"{Height * _ahead.Length}\" font-family=\"sans-serif\" font-size=\"12\">\n");
        svg.Append("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
        for (var i = 0; i < _ahead.Length; i++)
        {
            Panel(svg, i * Height, _ahead[i]);
        }
        svg.Append("</svg>\n");
        File.WriteAllText(path, svg.ToString());
    }

    private void Panel(StringBuilder svg, int top, int ahead)
    {
        var shown = Enumerable.Range(0, series.Intervals).Where(i => _quantiles.ContainsKey((i, ahead))).ToArray();
        if (shown.Length == 0)
        {
            return;
        }
        var truth = shown.Select(series.RateOf).ToArray();
        var bands = shown.Select(i => _quantiles[(i, ahead)]).ToArray();
        var highest = Math.Max(1e-9, Math.Max(truth.Where(double.IsFinite).DefaultIfEmpty(0).Max(), bands.Select(b => b[1]).Max()));
        double X(int i) => Margin + (Width - 2.0 * Margin) * (shown[i] - shown[0]) / Math.Max(1, shown[^1] - shown[0]);
        double Y(double rate) => top + Height - 28 - (Height - 60) * Math.Min(rate / highest, 1.05);
        string At(int i, double rate) => string.Create(CultureInfo.InvariantCulture, $"{X(i):0.#},{Y(rate):0.#}");

        void Band(int level, string colour)
        {
            var upper = Enumerable.Range(0, shown.Length).Select(i => At(i, bands[i][level]));
            var lower = Enumerable.Range(0, shown.Length).Reverse().Select(i => At(i, level == 0 ? 0 : bands[i][level - 1]));
            svg.Append(CultureInfo.InvariantCulture, $"<polygon fill=\"{colour}\" points=\"{string.Join(' ', upper.Concat(lower))}\"/>\n");
        }

        Band(2, "#e3eefa");
        Band(1, "#b7d3f2");
        svg.Append(CultureInfo.InvariantCulture,
            $"<polyline fill=\"none\" stroke=\"#1f5fae\" points=\"{string.Join(' ', Enumerable.Range(0, shown.Length).Select(i => At(i, bands[i][0])))}\"/>\n");
        // A gap breaks the line of the truth.
        var run = new List<string>();
        for (var i = 0; i <= shown.Length; i++)
        {
            if (i < shown.Length && double.IsFinite(truth[i]))
            {
                run.Add(At(i, truth[i]));
            }
            else if (run.Count > 0)
            {
                svg.Append(CultureInfo.InvariantCulture, $"<polyline fill=\"none\" stroke=\"#c0392b\" stroke-width=\"0.8\" points=\"{string.Join(' ', run)}\"/>\n");
                run.Clear();
            }
        }
        var title = $"{series.Name}, {predictor}: {ahead} x {series.Step.TotalSeconds} s ahead; red the mean rate as it came, blue P50, shaded up to P90 and P99; requests/s";
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Margin}\" y=\"{top + 18}\">{WebUtility.HtmlEncode(title)}</text>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"2\" y=\"{Y(highest):0}\">{highest:G3}</text><text x=\"2\" y=\"{Y(0):0}\">0</text>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Margin}\" y=\"{top + Height - 8}\">{series.StartOf(shown[0]) - series.StartOf(0):d\\.hh\\:mm}</text>");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Width - 2 * Margin}\" y=\"{top + Height - 8}\">{series.StartOf(shown[^1]) - series.StartOf(0):d\\.hh\\:mm}</text>\n");
    }
}
