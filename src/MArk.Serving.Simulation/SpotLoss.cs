using System.Globalization;

namespace MArk.Serving.Simulation;

/// <summary>A moment at which a provider takes many spot machines away.</summary>
/// <param name="At">When they are told, since the start of the simulation.</param>
/// <param name="Share">The share of the spot machines that then run, rounded to whole machines, a half up: more than 0, at most 1.</param>
public readonly record struct SpotLoss(TimeSpan At, double Share)
{
    private const string Header = "offset_s,share";

    /// <summary>Reads losses: a line <c>offset_s,share</c>, then for each loss its second since the start, and the share of the spot machines.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The losses, as they stand there.</returns>
    /// <exception cref="TraceFormatException">The file cannot be read or is no such list; names the path and the line.</exception>
    public static IReadOnlyList<SpotLoss> Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TraceFormatException(path, 0, $"it cannot be read: {e.Message}", e);
        }
        if (lines.Length == 0 || !string.Equals(lines[0].Trim().TrimStart('\uFEFF'), Header, StringComparison.OrdinalIgnoreCase))
        {
            throw new TraceFormatException(path, 1, $"the header is '{(lines.Length == 0 ? "" : lines[0])}'; expected is '{Header}'.");
        }
        var losses = new List<SpotLoss>();
        for (var i = 1; i < lines.Length; i++)
        {
            if (lines[i].Length > 0)
            {
                losses.Add(Parse(lines[i], path, i + 1));
            }
        }
        return losses;
    }

    private static SpotLoss Parse(string text, string path, int line)
    {
        var parts = text.Split(',');
        if (parts.Length != 2
            || !double.TryParse(parts[0], NumberStyles.Float, CultureInfo.InvariantCulture, out var offset)
            || !double.TryParse(parts[1], NumberStyles.Float, CultureInfo.InvariantCulture, out var share))
        {
            throw new TraceFormatException(path, line, $"'{text}' is not two numbers, '{Header}'.");
        }
        if (!(offset >= 0 && offset <= TimeSpan.MaxValue.TotalSeconds / 2 && share > 0 && share <= 1))
        {
            throw new TraceFormatException(path, line, $"the offset is {parts[0]} and the share {parts[1]}; expected are a finite number of at least 0, and one of more than 0 and at most 1.");
        }
        return new SpotLoss(TimeSpan.FromSeconds(offset), share);
    }
}
