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
        var prices = new Dictionary<string, OfferingOptions>();
        foreach (var row in ColumnFile.Read(path, Offering, Price, (line, message, cause) => new PriceFileException(path, line, message, cause)))
        {
            if (row.Width is var (own, header) && own != header)
            {
                throw new PriceFileException(path, row.Line, $"it has {own} cells; expected are {header}, as in the header.");
            }
            var name = row.Cell(Offering) ?? throw new PriceFileException(path, row.Line, "it names no offering.");
            if (!prices.TryAdd(name, OptionsOf(row, name, path)))
            {
                throw new PriceFileException(path, row.Line, $"there is an earlier line for '{name}'; expected is one for each offering.");
            }
        }
        return prices;
    }

    private static OfferingOptions OptionsOf(ColumnRow row, string name, string path)
    {
        decimal? Number(string column) => row.Number(
            column, text => new PriceFileException(path, row.Line, $"'{name}' has a {column} of '{text}'; expected is a number of at least 0, such as 0.0349."));
        return new OfferingOptions
        {
            PricePerHour = Number(Price) ?? throw new PriceFileException(path, row.Line, $"'{name}' has no {Price}."),
            OnDemandPricePerHour = Number("on_demand_price_per_hour"),
            StoppedPricePerHour = Number("stopped_price_per_hour"),
            InterruptionsPerHour = (double?)Number("interruptions_per_hour"),
        };
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
