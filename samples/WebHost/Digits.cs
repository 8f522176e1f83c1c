using System.Globalization;

namespace WebHost;

/// <summary>Handwritten digits that the model did not learn from: 8 x 8 pixels of 0 to 1, and what they show.</summary>
internal static class Digits
{
    private const float Brightest = 16;

    public static IReadOnlyList<(int Label, float[] Pixels)> HeldOut { get; } =
    [
        .. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Assets", "digits-heldout.csv")).Skip(1).Select(line =>
        {
            var cells = line.Split(',');
            return (int.Parse(cells[0], CultureInfo.InvariantCulture), cells[1..].Select(c => int.Parse(c, CultureInfo.InvariantCulture) / Brightest).ToArray());
        }),
    ];
}
