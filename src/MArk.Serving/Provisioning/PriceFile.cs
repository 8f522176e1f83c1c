using System.Globalization;

namespace MArk.Serving.Provisioning;

/// <summary>
/// A CSV file of prices: a header, then a line for each offering. Columns, in any order: <c>offering</c> and <c>price_per_hour</c>, and, where they are wanted,
/// <c>on_demand_price_per_hour</c>, <c>stopped_price_per_hour</c> and <c>interruptions_per_hour</c>; an empty cell says nothing, and other columns are not read.
/// </summary>
internal static class PriceFile
{
    private const string Offering = "offering";
    private const string Price = "price_per_hour";

    /// <exception cref="PriceFileException">The file cannot be read or is no such list; names the path and the line.</exception>
    public static IReadOnlyDictionary<string, OfferingOptions> Load(string path)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PriceFileException(path, 0, $"it cannot be read: {e.Message}", e);
        }
        string[] header = lines.Length == 0 ? [] : Cells(lines[0].TrimStart('\uFEFF'));
        if (!header.Contains(Offering) || !header.Contains(Price))
        {
            throw new PriceFileException(path, 1, $"the header is '{(lines.Length == 0 ? "" : lines[0])}'; expected are columns '{Offering}' and '{Price}', and others.");
        }
        var prices = new Dictionary<string, OfferingOptions>();
        for (var i = 1; i < lines.Length; i++)
        {
            if (string.IsNullOrWhiteSpace(lines[i]))
            {
                continue;
            }
            var row = new Row(path, i + 1, header, Cells(lines[i]));
            if (!prices.TryAdd(row.Name, row.Read()))
            {
                throw new PriceFileException(path, i + 1, $"there is an earlier line for '{row.Name}'; expected is one for each offering.");
            }
        }
        return prices;
    }

    private static string[] Cells(string line) => line.Split(',', StringSplitOptions.TrimEntries);

    private sealed class Row
    {
        private readonly string _path;
        private readonly int _line;
        private readonly string[] _header;
        private readonly string[] _cells;

        public Row(string path, int line, string[] header, string[] cells)
        {
            (_path, _line, _header, _cells) = (path, line, header, cells);
            if (cells.Length != header.Length)
            {
                throw new PriceFileException(path, line, $"it has {cells.Length} cells; expected are {header.Length}, as in the header.");
            }
            Name = Cell(Offering) ?? throw new PriceFileException(path, line, "it names no offering.");
        }

        public string Name { get; }

        public OfferingOptions Read() => new()
        {
            PricePerHour = Dollars(Price) ?? throw new PriceFileException(_path, _line, $"'{Name}' has no {Price}."),
            OnDemandPricePerHour = Dollars("on_demand_price_per_hour"),
            StoppedPricePerHour = Dollars("stopped_price_per_hour"),
            InterruptionsPerHour = (double?)Dollars("interruptions_per_hour"),
        };

        private string? Cell(string column) => Array.IndexOf(_header, column) is >= 0 and var i && _cells[i].Length > 0 ? _cells[i] : null;

        private decimal? Dollars(string column)
        {
            if (Cell(column) is not { } text)
            {
                return null;
            }
            return decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
                ? value
                : throw new PriceFileException(_path, _line, $"'{Name}' has a {column} of '{text}'; expected is a number of at least 0, such as 0.0349.");
        }
    }
}

/// <summary>A file of prices is not as it must be.</summary>
public sealed class PriceFileException : ServingException
{
    /// <summary>A file of prices that is not as it must be.</summary>
    /// <param name="path">The file.</param>
    /// <param name="line">The line, counted from 1; 0 where it is not about a line.</param>
    /// <param name="message">What was wrong and what is expected.</param>
    /// <param name="innerException">The cause.</param>
    public PriceFileException(string path, int line, string message, Exception? innerException = null)
        : base(line > 0 ? $"Price file '{path}', line {line}: {message}" : $"Price file '{path}': {message}", innerException)
    {
        Path = path;
        Line = line;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The line, counted from 1; 0 where it is not about a line.</summary>
    public int Line { get; }
}
