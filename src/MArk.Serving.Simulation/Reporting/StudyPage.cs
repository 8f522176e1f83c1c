using System.Globalization;
using System.Text;
using System.Xml.Linq;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>A study as one page that needs no other file. It is XML too, so that it can be checked as such.</summary>
internal sealed class StudyPage(StudyReport report, IReadOnlyList<ShownPolicy> policies, StudyFigures figures, IReadOnlyList<string> files)
{
    private const string NotAny = "\u2013";

    private const string Style = """
        :root { color-scheme: light; }
        body { margin: 0 auto; padding: 1rem; max-width: 66rem; color: #000; background: #fff; font: 1rem/1.5 "DejaVu Sans", Verdana, sans-serif; }
        h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0; }
        h2 { font-size: 1.25rem; margin: 2rem 0 0.5rem; border-bottom: 1px solid #000; }
        h3 { font-size: 1.05rem; margin: 1.5rem 0 0.25rem; }
        h1, h2, h3, p, dd, dt, li, figcaption { overflow-wrap: anywhere; }
        .text { white-space: pre-line; }
        .scroll { overflow-x: auto; }
        .scroll:focus-visible { outline: 3px solid #0072b2; outline-offset: 2px; }
        table { border-collapse: collapse; font-size: 0.8rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
        caption { text-align: left; padding: 0.5rem 0; font-size: 0.9rem; }
        caption span { display: block; position: sticky; left: 0; max-width: calc(100vw - 2rem); }
        th, td { padding: 0.3rem 0.5rem; border-bottom: 1px solid #888; vertical-align: bottom; }
        thead th { border-bottom: 2px solid #000; text-align: right; font-weight: bold; }
        thead th:first-child, tbody th { text-align: left; }
        tbody th { font-weight: bold; min-width: 8rem; max-width: 14rem; overflow-wrap: anywhere; }
        td { text-align: right; white-space: nowrap; }
        .unit { display: block; font-weight: normal; white-space: nowrap; }
        .below { font-weight: bold; border: 1px solid #000; padding: 0 0.2rem; }
        dt { font-weight: bold; margin-top: 0.5rem; }
        dd { margin: 0 0 0 1rem; }
        figure { margin: 1rem 0; }
        figure svg { display: block; width: 100%; min-width: 40rem; height: auto; }
        figcaption { font-size: 0.9rem; margin-top: 0.25rem; }
        .files { columns: 16rem; }
        @media (max-width: 40rem) {
          body { padding: 0.75rem; }
        }
        @media print {
          @page { size: A4; margin: 12mm; }
          :root { font-size: 9.5pt; }
          body { max-width: none; padding: 0; }
          .scroll { overflow: visible; }
          table { font-size: 6.5pt; width: 100%; }
          th, td { padding: 1mm 0.8mm; }
          tbody th { min-width: 22mm; }
          tr, figure, dd { break-inside: avoid; }
          h2, h3, dt { break-after: avoid; }
          thead { display: table-header-group; }
          figure svg { min-width: 0; max-height: 230mm; }
        }
        """;

    private readonly StringBuilder _html = new();

    public string ToHtml()
    {
        _html.Append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n");
        Element("title", report.Title);
        _html.Append("<style>\n").Append(Style).Append("\n</style>\n</head>\n<body>\n<header>\n");
        Element("h1", report.Title);
        Element("p", Finding());
        _html.Append("</header>\n<main>\n");
        WhatWasSimulated();
        PolicyTable();
        Figures();
        PolicyDescriptions();
        Files();
        _html.Append("</main>\n</body>\n</html>\n");
        return _html.ToString();
    }

    private string Finding()
    {
        var level = Numbers.Percent(report.ServiceLevel);
        var slo = Numbers.Milliseconds(report.Slo);
        if (policies.Where(Meets).MinBy(p => p.Result.TotalCost) is not { } cheapest)
        {
            return $"No policy answered {level} of the requests within {slo}.";
        }
        var multiple = report.Bound is { Integer: > 0 } bound
            ? $", {Numbers.Fixed(Numbers.Multiple(cheapest.Result.TotalCost, bound.Integer), 2)} times the least that is possible with whole machines"
            : "";
        return $"The cheapest policy that answered at least {level} of the requests within {slo} is {cheapest.Name}: {Numbers.Dollars(cheapest.Result.TotalCost)}{multiple}.";
    }

    private bool Meets(ShownPolicy policy) => policy.Result.SloAttainment >= report.ServiceLevel;

    private void WhatWasSimulated()
    {
        Begin("simulated", "What was simulated");
        foreach (var paragraph in report.Description.ReplaceLineEndings("\n").Split("\n\n", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            Element("p", paragraph, "class=\"text\"");
        }
        _html.Append("<dl>\n");
        Term("Latency objective (SLO)", Numbers.Milliseconds(report.Slo));
        Term("Service level", $"{Numbers.Percent(report.ServiceLevel)} of all requests that arrive, answered within the SLO");
        Term("Least possible cost", report.Bound is { } bound
            ? $"{Numbers.Dollars(bound.Fractional)} with fractions of machines (linear programme), {Numbers.Dollars(bound.Integer)} with whole machines (integer programme): what no policy can go below, whatever it knows"
            : "Not computed.");
        _html.Append("</dl>\n");
        End();
    }

    private void PolicyTable()
    {
        Begin("policies", "Policies");
        var columns = Columns();
        _html.Append("<div class=\"scroll\" role=\"region\" aria-label=\"Table of policies\" tabindex=\"0\">\n<table>\n");
        _html.Append("<caption>\n");
        Element("span", policies.All(Meets)
            ? "What each policy came to. Latencies are those of answered requests."
            : "What each policy came to. Latencies are those of answered requests. A policy marked \u25BC below has not reached the service level, so that its cost is no measure for the others.");
        _html.Append("</caption>\n");
        _html.Append("<thead>\n<tr>\n<th scope=\"col\">Policy</th>\n");
        foreach (var column in columns)
        {
            _html.Append("<th scope=\"col\">").Append(Encoded(column.Header));
            _html.Append(column.Unit.Length > 0 ? $" <span class=\"unit\">({Encoded(column.Unit)})</span></th>\n" : "</th>\n");
        }
        _html.Append("</tr>\n</thead>\n<tbody>\n");
        foreach (var policy in policies)
        {
            _html.Append("<tr>\n");
            Element("th", policy.Name, "scope=\"row\"");
            foreach (var column in columns)
            {
                _html.Append("<td>").Append(column.Cell(policy)).Append("</td>\n");
            }
            _html.Append("</tr>\n");
        }
        _html.Append("</tbody>\n</table>\n</div>\n");
        if (report.Bound is null)
        {
            Element("p", "The least possible cost was not computed, so that no cost is given as a multiple of it.");
        }
        End();
    }

    private List<Column> Columns()
    {
        var columns = new List<Column>
        {
            Of("Cost", "$", 4, r => (double)r.TotalCost),
            Of("Per million requests", "$", 4, r => r.Requests == 0 ? double.NaN : Numbers.PerMillion(r)),
            new("Within SLO", "%", p => Meets(p)
                ? Numbers.CutPercent(p.Result.SloAttainment)
                : $"<span class=\"below\">\u25BC below</span> {Numbers.CutPercent(p.Result.SloAttainment)}"),
            Of("p50", "ms", 3, r => r.P50.TotalMilliseconds),
            Of("p99", "ms", 3, r => r.P99.TotalMilliseconds),
            Of("p99.9", "ms", 3, r => r.P999.TotalMilliseconds),
            new("Spilled", "%", p => Share(p.Result.Spilled, p.Result.Requests)),
            new("Refused", "%", p => Share(p.Result.Rejected, p.Result.Requests)),
            new("Launches", "", p => Numbers.Whole(p.Result.Launched)),
            new("Interrup\u00ADtions", "", p => Numbers.Whole(p.Result.Interruptions)),
        };
        if (report.Bound is { } bound)
        {
            columns.Add(Of("Multiple of LP bound", "", 3, r => Numbers.Multiple(r.TotalCost, bound.Fractional)));
            columns.Add(Of("Multiple of integer bound", "", 3, r => Numbers.Multiple(r.TotalCost, bound.Integer)));
        }
        return columns;
    }

    /// <summary>A column of numbers with as many decimals each.</summary>
    private Column Of(string header, string unit, int digits, Func<SimulationResult, double> value)
    {
        var decimals = Numbers.Decimals(policies.Select(p => value(p.Result)).Where(double.IsFinite), digits);
        return new Column(header, unit, p => double.IsFinite(value(p.Result)) ? Numbers.Fixed(value(p.Result), decimals) : NotAny);
    }

    private static string Share(long part, long all) => all == 0 ? NotAny : Numbers.Fixed(100.0 * part / all, 3);

    private void Figures()
    {
        Begin("latency", "Latency");
        if (figures.Latency is { } latency)
        {
            Figure(latency);
        }
        LeftOut("latency tail", "line", p => p.Result.LatencyTail.Count == 0);
        End();
        Begin("cost", "Cost");
        Figure(figures.Cost);
        LeftOut("history", "cost over time", p => p.Result.History.Count == 0);
        End();
        Begin("load", "Load and capacity");
        foreach (var load in figures.Loads)
        {
            Element("h3", load.Policy);
            Figure(load);
        }
        LeftOut("history", "figure", p => p.Result.History.Count == 0);
        End();
    }

    private void Figure(StudyFigure figure)
    {
        _html.Append(CultureInfo.InvariantCulture, $"<figure>\n<div class=\"scroll\" role=\"region\" aria-label=\"{Encoded(figure.Title)}\" tabindex=\"0\">\n");
        _html.Append(figure.ToSvg().ToString(SaveOptions.DisableFormatting)).Append("\n</div>\n");
        Element("figcaption", figure.Caption + (Ink.HasFont ? "" : " The machine it was drawn on has no font, so that it has no text."));
        _html.Append("</figure>\n");
    }

    private void LeftOut(string lacking, string what, Func<ShownPolicy, bool> isLeftOut)
    {
        var without = policies.Where(isLeftOut).Select(p => p.Name).ToList();
        if (without.Count > 0)
        {
            Element("p", $"Without a {what}, since the simulation kept no {lacking}: {string.Join(", ", without)}.", "class=\"left-out\"");
        }
    }

    private void PolicyDescriptions()
    {
        if (policies.All(p => string.IsNullOrWhiteSpace(p.Outcome.Description)))
        {
            return;
        }
        Begin("descriptions", "How the policies decide");
        _html.Append("<dl>\n");
        foreach (var policy in policies.Where(p => !string.IsNullOrWhiteSpace(p.Outcome.Description)))
        {
            Term(policy.Name, policy.Outcome.Description);
        }
        _html.Append("</dl>\n");
        End();
    }

    private void Files()
    {
        Begin("files", "Figures and data as files");
        Element("p", "Written beside this page, which needs none of them:");
        _html.Append("<ul class=\"files\">\n");
        foreach (var file in files)
        {
            _html.Append("<li><code>").Append(Encoded(file)).Append("</code></li>\n");
        }
        _html.Append("</ul>\n");
        End();
    }

    private void Begin(string id, string heading)
    {
        _html.Append(CultureInfo.InvariantCulture, $"<section aria-labelledby=\"{id}-heading\">\n");
        Element("h2", heading, $"id=\"{id}-heading\"");
    }

    private void End() => _html.Append("</section>\n");

    private void Term(string term, string description)
    {
        Element("dt", term);
        Element("dd", description, "class=\"text\"");
    }

    private void Element(string name, string text, string attributes = "")
    {
        _html.Append('<').Append(name);
        if (attributes.Length > 0)
        {
            _html.Append(' ').Append(attributes);
        }
        _html.Append('>').Append(Encoded(text)).Append("</").Append(name).Append(">\n");
    }

    private static string Encoded(string text) => ShownPolicy.Printable(text)
        .Replace("&", "&amp;", StringComparison.Ordinal)
        .Replace("<", "&lt;", StringComparison.Ordinal)
        .Replace(">", "&gt;", StringComparison.Ordinal)
        .Replace("\"", "&quot;", StringComparison.Ordinal);

    /// <summary>A column of the table of policies.</summary>
    /// <param name="Header">What it holds.</param>
    /// <param name="Unit">In which unit; empty for a count.</param>
    /// <param name="Cell">A policy's, as HTML.</param>
    private sealed record Column(string Header, string Unit, Func<ShownPolicy, string> Cell);
}
