using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>
/// Makes a drawing of Skia's fit for a page: it counts the names of clips through the whole process, so that one drawing is never the same twice and two on a page could
/// share a name; it writes nothing for those who cannot see; and it writes more decimals than paper can show.
/// </summary>
internal static partial class SvgCleaner
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    public static XElement Clean(Stream drawing, string name, string title, string alternative, int width, int height)
    {
        var root = XDocument.Load(drawing).Root!;
        var ids = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var id in root.Descendants().Select(e => e.Attribute("id")).OfType<XAttribute>())
        {
            ids[id.Value] = string.Create(CultureInfo.InvariantCulture, $"{name}-{ids.Count + 1}");
            id.Value = ids[id.Value];
        }
        foreach (var attribute in root.DescendantsAndSelf().Attributes())
        {
            switch (attribute.Name.LocalName)
            {
                case "clip-path" or "fill":
                    attribute.Value = Reference().Replace(attribute.Value, m => $"url(#{ids[m.Groups[1].Value]})");
                    break;
                case "d" or "x" or "y" or "width" or "height" or "transform":
                    attribute.Value = LongNumber().Replace(attribute.Value, m => double.Parse(m.Value, CultureInfo.InvariantCulture).ToString("0.#", CultureInfo.InvariantCulture)).TrimEnd(' ', ',');
                    break;
                case "font-family":
                    // Of nearly the same widths, where the reader lacks the writer's font.
                    attribute.Value += ", Verdana, sans-serif";
                    break;
                default:
                    break;
            }
        }
        foreach (var text in root.Descendants(Svg + "text"))
        {
            text.Value = text.Value.Trim();
        }
        root.Attributes().Remove();
        root.Add(
            new XAttribute("width", width), new XAttribute("height", height), new XAttribute("viewBox", string.Create(CultureInfo.InvariantCulture, $"0 0 {width} {height}")),
            new XAttribute("role", "img"), new XAttribute("aria-labelledby", $"{name}-title {name}-text"));
        root.AddFirst(
            new XElement(Svg + "title", new XAttribute("id", $"{name}-title"), title),
            new XElement(Svg + "desc", new XAttribute("id", $"{name}-text"), alternative),
            new XElement(Svg + "rect", new XAttribute("width", width), new XAttribute("height", height), new XAttribute("fill", "white")));
        return root;
    }

    [GeneratedRegex(@"url\(#([^)]*)\)")]
    private static partial Regex Reference();

    [GeneratedRegex(@"-?\d+\.\d{2,}(?:[eE][-+]?\d+)?|-?\d+(?:\.\d+)?[eE][-+]?\d+")]
    private static partial Regex LongNumber();
}
