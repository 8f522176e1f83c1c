using MArk.Serving.Provisioning;

namespace MArk.Serving.Simulation;

/// <summary>What a type of machine costs, US dollars per hour.</summary>
/// <param name="OnDemand">On demand.</param>
public sealed record StudyPrice(decimal OnDemand)
{
    /// <summary>As a spot machine; <see langword="null"/> where it is not to be had as one.</summary>
    public decimal? Spot { get; init; }

    /// <summary>As a managed endpoint; <see langword="null"/> where it is not to be had as one.</summary>
    public decimal? Managed { get; init; }

    /// <summary>How often a spot machine is taken away, per machine and hour.</summary>
    public double InterruptionsPerHour { get; init; }
}

/// <summary>Prices by type of machine.</summary>
public static class StudyPrices
{
    private const string Type = "type";
    private const string OnDemand = "ondemand_usd_h";
    private const double HoursPerMonth = 730;

    /// <summary>
    /// Reads prices: a CSV file with the columns <c>type</c> and <c>ondemand_usd_h</c>, and if they are there <c>spot_usd_h_est</c>, <c>sagemaker_usd_h</c> and
    /// <c>interruption_month</c>, the share of spot machines taken away in a month, in percent: <c>&lt;5%</c>, <c>5-10%</c>, …, <c>&gt;20%</c>. The middle of it counts (25 % for
    /// more than 20), as a hazard that does not change with time.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <returns>The prices, by type.</returns>
    /// <exception cref="StudyInputException">The file cannot be read or is no such list; names the line.</exception>
    public static IReadOnlyDictionary<string, StudyPrice> Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var prices = new Dictionary<string, StudyPrice>();
        foreach (var row in ColumnFile.Read(path, Type, OnDemand, (line, message, cause) => new StudyInputException(path, line == 0 ? message : $"line {line}: {message}", cause)))
        {
            decimal? Dollars(string column) => row.Number(
                column, text => new StudyInputException(path, $"line {row.Line}: {column} is '{text}'; expected is a number of at least 0."));
            if (row.Cell(Type) is not { } type || Dollars(OnDemand) is not { } onDemand)
            {
                throw new StudyInputException(path, $"line {row.Line}: '{row.Text}' has no {Type} or no {OnDemand}.");
            }
            var price = new StudyPrice(onDemand)
            {
                Spot = Dollars("spot_usd_h_est"),
                Managed = Dollars("sagemaker_usd_h"),
                InterruptionsPerHour = Hazard(row.Cell("interruption_month"), path, row.Line),
            };
            if (!prices.TryAdd(type, price))
            {
                throw new StudyInputException(path, $"line {row.Line}: there is an earlier line for '{type}'; expected is one for each type.");
            }
        }
        return prices;
    }

    private static double Hazard(string? bracket, string path, int line)
    {
        var share = bracket switch
        {
            null => 0,
            "<5%" => 0.025,
            "5-10%" => 0.075,
            "10-15%" => 0.125,
            "15-20%" => 0.175,
            ">20%" => 0.25,
            _ => throw new StudyInputException(path, $"line {line}: interruption_month is '{bracket}'; expected is <5%, 5-10%, 10-15%, 15-20% or >20%."),
        };
        return -Math.Log(1 - share) / HoursPerMonth;
    }
}
