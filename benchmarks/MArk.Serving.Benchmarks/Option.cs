using System.Globalization;

namespace MArk.Serving.Benchmarks;

/// <summary>An option with a value: what is taken without it, in a full run and in a quick one, and what is accepted.</summary>
internal sealed record Option(string Name, string Full, string Quick, string Accepted, Func<string, bool> Accepts)
{
    /// <summary>Whether more values may follow the first.</summary>
    public bool TakesMany { get; private init; }

    /// <summary>An option that is left out unless it is given.</summary>
    public static Option Optional(string name, string accepted, bool takesMany = false) => new(name, "", "", accepted, _ => true) { TakesMany = takesMany };

    public static Option Number(string name, double full, double min, double max, double? quick = null) =>
        Of(name, full, quick ?? full, string.Create(CultureInfo.InvariantCulture, $"{min} to {max}"), text =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max);

    public static Option Integer(string name, int full, int min, int max, int? quick = null) =>
        Of(name, full, quick ?? full, string.Create(CultureInfo.InvariantCulture, $"{min} to {max}"), text =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max);

    public static Option Choice(string name, string otherwise, params string[] choices) =>
        new(name, otherwise, otherwise, string.Join('|', choices), choices.Contains);

    private static Option Of(string name, double full, double quick, string accepted, Func<string, bool> accepts) =>
        new(name, full.ToString(CultureInfo.InvariantCulture), quick.ToString(CultureInfo.InvariantCulture), accepted, accepts);
}
