using MArk.Serving.Simulation;

namespace QuickStart;

/// <summary>When requests arrive, and what they ask.</summary>
internal static class Workload
{
    /// <summary>A day: quiet at night, busy at noon, busiest in the evening, with four bursts that nothing announces.</summary>
    public static ArrivalTrace Day()
    {
        var minutes = new double[24 * 60];
        for (var m = 0; m < minutes.Length; m++)
        {
            var hour = m / 60.0;
            minutes[m] = 0.12 + 0.45 * Bell(hour, 11.5, 2.4) + 0.88 * Bell(hour, 19.5, 2.1);
        }
        foreach (var (hour, height) in new[] { (4.5, 0.35), (9.0, 0.45), (14.8, 0.40), (22.9, 0.35) })
        {
            for (var m = (int)(hour * 60); m < hour * 60 + 22; m++)
            {
                minutes[m] += height;
            }
        }
        return new ArrivalTrace(TimeSpan.FromMinutes(1), minutes);

        static double Bell(double hour, double middle, double width) => Math.Exp(-(hour - middle) * (hour - middle) / (2 * width * width));
    }

    /// <summary>Handwritten digits that the model did not learn from: 8 x 8 pixels of 0 to 1, and what they show.</summary>
    public static (float[] Image, int Label)[] Digits() =>
    [
        .. File.ReadLines(Asset("digits-heldout.csv")).Skip(1).Select(line =>
        {
            var numbers = line.Split(',').Select(int.Parse).ToArray();
            return (numbers[1..].Select(pixel => pixel / 16f).ToArray(), numbers[0]);
        }),
    ];

    public static string Asset(string name) => Path.Combine(AppContext.BaseDirectory, "Assets", name);
}
