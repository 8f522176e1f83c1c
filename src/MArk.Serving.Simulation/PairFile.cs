using System.Globalization;

namespace MArk.Serving.Simulation;

/// <summary>Files of two numbers a line, below a header.</summary>
internal static class PairFile
{
    /// <exception cref="TraceFormatException">The file cannot be read.</exception>
    public static T Open<T>(string path, Func<TextReader, T> read)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            using var reader = new StreamReader(path);
            return read(reader);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TraceFormatException(path, 0, $"it cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The lines that have text, with their numbers, counted from 1.</summary>
    /// <exception cref="TraceFormatException">The header is another, or a line is not two numbers.</exception>
    public static IEnumerable<(int Line, double First, double Second)> Read(TextReader reader, string name, string header)
    {
        var found = reader.ReadLine() ?? "";
        if (!string.Equals(found.Trim().TrimStart('\uFEFF'), header, StringComparison.OrdinalIgnoreCase))
        {
            throw new TraceFormatException(name, 1, $"the header is '{found}'; expected is '{header}'.");
        }
        for (var line = 2; reader.ReadLine() is { } text; line++)
        {
            if (text.Length == 0)
            {
                continue;
            }
            var comma = text.IndexOf(',', StringComparison.Ordinal);
            if (comma < 0
                || !double.TryParse(text.AsSpan(0, comma), NumberStyles.Float, CultureInfo.InvariantCulture, out var first)
                || !double.TryParse(text.AsSpan(comma + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out var second))
            {
                throw new TraceFormatException(name, line, $"'{text}' is not two numbers, '{header}'.");
            }
            yield return (line, first, second);
        }
    }
}
