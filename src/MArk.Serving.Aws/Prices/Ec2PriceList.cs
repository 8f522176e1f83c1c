using System.Collections.Frozen;
using System.Globalization;

namespace MArk.Serving.Aws.Prices;

/// <summary>The bundled list of prices: us-east-1, Linux. Its head says of what day and from where.</summary>
internal static class Ec2PriceList
{
    private static readonly FrozenDictionary<string, Ec2Price> Prices = Read();

    /// <summary>The region whose prices they are.</summary>
    public const string Region = "us-east-1";

    /// <summary>The day of the prices on demand.</summary>
    public const string Date = "2026-07-20";

    public static Ec2Price? Find(string instanceType) => Prices.GetValueOrDefault(instanceType);

    private static FrozenDictionary<string, Ec2Price> Read()
    {
        using var stream = typeof(Ec2PriceList).Assembly.GetManifestResourceStream("ec2-us-east-1.csv")!;
        using var reader = new StreamReader(stream);
        var prices = new Dictionary<string, Ec2Price>();
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#') || line.StartsWith("type,", StringComparison.Ordinal))
            {
                continue;
            }
            var cells = line.Split(',');
            prices.Add(cells[0], new Ec2Price(Dollars(cells[1]), cells[2].Length == 0 ? null : Dollars(cells[2]), cells[3].Length == 0 ? 0 : double.Parse(cells[3], CultureInfo.InvariantCulture)));
        }
        return prices.ToFrozenDictionary();
    }

    private static decimal Dollars(string cell) => decimal.Parse(cell, CultureInfo.InvariantCulture);
}

/// <summary>What an instance type costs, US dollars per hour.</summary>
/// <param name="OnDemand">On demand.</param>
/// <param name="Spot">As a spot instance, about; nothing where that is not known.</param>
/// <param name="InterruptionsPerMonth">Which share of spot instances is interrupted in a month, at most: 0.05 for the bracket below 5 %.</param>
internal sealed record Ec2Price(decimal OnDemand, decimal? Spot, double InterruptionsPerMonth);
