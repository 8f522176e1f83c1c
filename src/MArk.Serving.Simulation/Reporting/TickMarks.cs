using System.Globalization;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>An axis: from where to where, and what is written along it.</summary>
/// <param name="Lowest">Where it begins.</param>
/// <param name="Highest">Where it ends.</param>
/// <param name="Major">Places with a label.</param>
/// <param name="Minor">Places without one.</param>
internal sealed record TickMarks(double Lowest, double Highest, IReadOnlyList<(double Position, string Label)> Major, IReadOnlyList<double> Minor)
{
    private static readonly (string Name, double Seconds, double[] Steps)[] TimeUnits =
    [
        ("seconds", 1, [1, 2, 5, 10, 15, 20, 30, 60]),
        ("minutes", 60, [1, 2, 5, 10, 15, 20, 30, 60]),
        ("hours", 3600, [0.5, 1, 2, 3, 4, 6, 12, 24]),
        ("days", 86400, [0.5, 1, 2, 5, 7, 14, 28]),
    ];

    /// <summary>From 0 to a round number that is no less than the highest value.</summary>
    public static TickMarks FromZero(double highest, int most)
    {
        var step = RoundStep(highest > 0 ? highest : 1, most);
        var count = Math.Max(1, (int)Math.Ceiling((highest > 0 ? highest : 1) / step - 1e-9));
        return new TickMarks(0, count * step, Every(step, count * step), []);
    }

    /// <summary>From 0 to exactly the highest value.</summary>
    public static TickMarks UpTo(double highest, int most) => new(0, highest, Every(RoundStep(highest, most), highest), []);

    /// <summary>A span of time from 0, in the unit that suits it.</summary>
    /// <returns>The axis in the unit, the unit's name and its length in seconds.</returns>
    public static (TickMarks Axis, string Unit, double Seconds) Time(TimeSpan span, int most)
    {
        var unit = TimeUnits[span.TotalMinutes <= 3 ? 0 : span.TotalHours <= 3 ? 1 : span.TotalDays <= 4 ? 2 : 3];
        var length = span.TotalSeconds / unit.Seconds;
        // A span shorter than the finest step, or longer than the coarsest allows, has steps of 1, 2 and 5.
        var step = Array.Find(unit.Steps, s => length / s <= most);
        if (step == 0 || step > length)
        {
            step = RoundStep(length, most);
        }
        return (new TickMarks(0, length, Every(step, length), []), unit.Name, unit.Seconds);
    }

    /// <summary>A logarithmic axis; its positions are logarithms to base 10.</summary>
    public static TickMarks Logarithmic(double lowest, double highest, Func<double, string> label)
    {
        var (low, high) = (Math.Log10(lowest), Math.Log10(highest));
        double[] labelled = (high - low) switch
        {
            < 0.8 => [1, 1.5, 2, 3, 4, 5, 6, 7, 8],
            < 3 => [1, 2, 5],
            _ => [1],
        };
        var major = new List<(double, string)>();
        var minor = new List<double>();
        for (var decade = (int)Math.Floor(low); decade <= (int)Math.Ceiling(high); decade++)
        {
            foreach (var mantissa in labelled.Union([2, 3, 4, 5, 6, 7, 8, 9]))
            {
                var position = decade + Math.Log10(mantissa);
                if (position < low - 1e-9 || position > high + 1e-9)
                {
                    continue;
                }
                if (labelled.Contains(mantissa))
                {
                    major.Add((position, label(mantissa * Math.Pow(10, decade))));
                }
                else
                {
                    minor.Add(position);
                }
            }
        }
        return new TickMarks(low, high, major, minor);
    }

    private static List<(double, string)> Every(double step, double highest)
    {
        var marks = new List<(double, string)>();
        for (var i = 0; i * step <= highest * (1 + 1e-9); i++)
        {
            marks.Add((i * step, (i * step).ToString("#,0.######", CultureInfo.InvariantCulture)));
        }
        return marks;
    }

    /// <summary>1, 2 or 5 times a power of ten.</summary>
    private static double RoundStep(double span, int most)
    {
        var power = Math.Pow(10, Math.Floor(Math.Log10(span / most)));
        foreach (var factor in (ReadOnlySpan<double>)[1, 2, 5])
        {
            if (span / (factor * power) <= most + 1e-9)
            {
                return factor * power;
            }
        }
        return 10 * power;
    }
}
