using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace MArk.Serving.Benchmarks;

/// <summary>How figures are shown, on the screen and in JSON.</summary>
internal static class Format
{
    /// <summary>The machine, for the head of a table.</summary>
    public static string Machine() => string.Create(CultureInfo.InvariantCulture,
        $"{Processor()}, {Environment.ProcessorCount} cores, {RuntimeInformation.OSDescription.Trim()}, {RuntimeInformation.FrameworkDescription}");

    public static string List(IEnumerable<double> values) => string.Join(", ", values.Select(v => v.ToString(CultureInfo.InvariantCulture)));

    public static JsonNode Round(double value, int digits = 4) => JsonValue.Create(Math.Round(value, digits));

    /// <summary>A ratio; null over nothing.</summary>
    public static JsonNode? Ratio(double value, double over) => over > 0 ? Round(value / over) : null;

    /// <summary>A name as a JSON key: "greedy channel" is greedyChannel.</summary>
    public static string Key(string name)
    {
        var words = name.Split([' ', ',', '+'], StringSplitOptions.RemoveEmptyEntries);
        return string.Concat(words.Select((word, i) => (i == 0 ? char.ToLowerInvariant(word[0]) : char.ToUpperInvariant(word[0])) + word[1..]));
    }

    private static string Processor()
    {
        const string File = "/proc/cpuinfo";
        var line = System.IO.File.Exists(File) ? System.IO.File.ReadLines(File).FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal)) : null;
        return line?[(line.IndexOf(':') + 1)..].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString();
    }
}
