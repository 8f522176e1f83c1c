using System.Text;
using System.Xml;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>A policy as it is shown: its name where there is room for it, in a figure and in a file's name.</summary>
/// <param name="Outcome">What it came to.</param>
/// <param name="Name">Its name, of characters that XML can hold.</param>
/// <param name="Label">The name on one line of a figure.</param>
/// <param name="FileName">The part of a file's name that stands for it.</param>
internal sealed record ShownPolicy(PolicyOutcome Outcome, string Name, string Label, string FileName)
{
    private const int LongestLabel = 32;
    private const int LongestFileName = 60;

    public SimulationResult Result => Outcome.Result;

    public static IReadOnlyList<ShownPolicy> Of(IReadOnlyList<PolicyOutcome> policies)
    {
        var labels = new HashSet<string>(StringComparer.Ordinal);
        var fileNames = new HashSet<string>(StringComparer.Ordinal);
        return
        [
            .. policies.Select(p =>
            {
                var name = Printable(p.Name);
                return new ShownPolicy(p, name, Unique(ShortLabel(name), labels, " ({0})"), Unique(FileNameOf(p.Name), fileNames, "-{0}"));
            }),
        ];
    }

    /// <summary>A text with a mark in place of each character that XML 1.0 cannot hold.</summary>
    public static string Printable(string text)
    {
        var printable = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (XmlConvert.IsXmlChar(text[i]))
            {
                printable.Append(text[i]);
            }
            else if (i + 1 < text.Length && XmlConvert.IsXmlSurrogatePair(text[i + 1], text[i]))
            {
                printable.Append(text[i]).Append(text[++i]);
            }
            else
            {
                printable.Append('\uFFFD');
            }
        }
        return printable.ToString();
    }

    private static string ShortLabel(string name)
    {
        var line = string.Join(' ', name.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        if (line.Length <= LongestLabel)
        {
            return line;
        }
        // Both ends, since names that differ often differ at the end.
        var head = line[..(LongestLabel * 2 / 3)];
        var tail = line[^(LongestLabel - head.Length - 1)..];
        return Printable($"{head}\u2026{tail}");
    }

    private static string FileNameOf(string name)
    {
        var fileName = new StringBuilder();
        foreach (var c in name)
        {
            if (char.IsAsciiLetterOrDigit(c))
            {
                fileName.Append(char.ToLowerInvariant(c));
            }
            else if (fileName.Length > 0 && fileName[^1] != '-')
            {
                fileName.Append('-');
            }
        }
        var cut = fileName.ToString(0, Math.Min(fileName.Length, LongestFileName)).Trim('-');
        return cut.Length == 0 ? "policy" : cut;
    }

    private static string Unique(string text, HashSet<string> taken, string numbered)
    {
        var unique = text;
        for (var number = 2; !taken.Add(unique); number++)
        {
            unique = text + string.Format(System.Globalization.CultureInfo.InvariantCulture, numbered, number);
        }
        return unique;
    }
}
