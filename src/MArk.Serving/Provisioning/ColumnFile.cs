using System.Globalization;

namespace MArk.Serving.Provisioning;

/// <summary>A CSV file whose first line names its columns. Others than are asked for are not read, and lines without text are none.</summary>
internal static class ColumnFile
{
    /// <param name="path">The file.</param>
    /// <param name="first">A column that there must be.</param>
    /// <param name="second">Another.</param>
    /// <param name="error">Makes the exception for what is wrong with a line, counted from 1, or with the file, 0.</param>
    public static IEnumerable<ColumnRow> Read(string path, string first, string second, Func<int, string, Exception?, Exception> error)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw error(0, $"it cannot be read: {e.Message}", e);
        }
        string[] header = lines.Length == 0 ? [] : Cells(lines[0].TrimStart('\uFEFF'));
        if (!header.Contains(first) || !header.Contains(second))
        {
            throw error(1, $"the header is '{(lines.Length == 0 ? "" : lines[0])}'; expected are columns '{first}' and '{second}', and others.", null);
        }
        for (var i = 1; i < lines.Length; i++)
        {
            if (!string.IsNullOrWhiteSpace(lines[i]))
            {
                yield return new ColumnRow(i + 1, lines[i], header, Cells(lines[i]));
            }
        }
    }

    private static string[] Cells(string line) => line.Split(',', StringSplitOptions.TrimEntries);
}

/// <summary>A line of a <see cref="ColumnFile"/>.</summary>
internal sealed class ColumnRow(int line, string text, string[] header, string[] cells)
{
    /// <summary>Which line, counted from 1.</summary>
    public int Line => line;

    public string Text => text;

    /// <summary>How many cells it has, and how many the header has.</summary>
    public (int Own, int Header) Width => (cells.Length, header.Length);

    /// <summary>What stands in a column; nothing where it is empty, or there is no such column.</summary>
    public string? Cell(string column) => Array.IndexOf(header, column) is >= 0 and var i && i < cells.Length && cells[i].Length > 0 ? cells[i] : null;

    /// <summary>The number of at least 0 that stands in a column; nothing where it is empty.</summary>
    /// <param name="column">The column.</param>
    /// <param name="otherwise">Makes the exception for a text that is no such number.</param>
    public decimal? Number(string column, Func<string, Exception> otherwise) => Cell(column) is not { } cell ? null
        : decimal.TryParse(cell, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) ? value
        : throw otherwise(cell);
}
