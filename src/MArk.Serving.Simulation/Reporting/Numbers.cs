using System.Globalization;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>Numbers as they are printed: the invariant culture's.</summary>
internal static class Numbers
{
    /// <summary>So many decimals that the smallest number of a column still has so many digits that count; at most 6.</summary>
    public static int Decimals(IEnumerable<double> column, int digits)
    {
        var smallest = column.Select(Math.Abs).Where(v => v > 0).DefaultIfEmpty(1).Min();
        return Math.Clamp(digits - 1 - (int)Math.Floor(Math.Log10(smallest)), 0, 6);
    }

    public static string Fixed(double value, int decimals) => value.ToString("N" + decimals.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    /// <summary>A number alone, with three digits that count, and more before the point.</summary>
    public static string Short(double value) => Fixed(value, Decimals([value], 3));

    public static string Dollars(decimal value) => "$" + Fixed((double)value, value is >= 1 or 0 ? 2 : Decimals([(double)value], 3));

    public static string Milliseconds(TimeSpan value) => value.TotalMilliseconds.ToString("#,0.###", CultureInfo.InvariantCulture) + " ms";

    public static string Percent(double share) => (share * 100).ToString("#,0.######", CultureInfo.InvariantCulture) + " %";

    /// <summary>A share in percent, cut and not rounded, so that one below a level never reads as if it had reached it.</summary>
    public static string CutPercent(double share) => Fixed(Math.Floor(share * 1e5 + 1e-6) / 1e3, 3);

    public static string Whole(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    public static double PerMillion(SimulationResult result) => (double)result.TotalCost / result.Requests * 1e6;

    /// <summary>Cost as a multiple of a bound; not a number where that is nothing.</summary>
    public static double Multiple(decimal cost, decimal? bound) => bound > 0 ? (double)(cost / bound.Value) : double.NaN;
}
