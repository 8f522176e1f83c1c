using System.Collections.Immutable;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>What a study has to keep to be shown.</summary>
internal static class StudyRules
{
    public static void Check(StudyReport report)
    {
        Require(!string.IsNullOrWhiteSpace(report.Title), "Title is empty.");
        Require(report.Description is not null, "Description is null; accepted: any text.");
        Require(report.Slo > TimeSpan.Zero, $"Slo is {report.Slo}; accepted: more than 00:00:00.");
        Require(report.ServiceLevel is > 0 and < 1, FormattableString.Invariant($"ServiceLevel is {report.ServiceLevel}; accepted: more than 0, less than 1."));
        Require(report.Policies is { Count: > 0 }, "Policies is empty; accepted: at least one.");
        Require(report.Bound is null or { Fractional: >= 0, Integer: >= 0 }, FormattableString.Invariant(
            $"Bound is {report.Bound?.Fractional} and {report.Bound?.Integer} dollars; accepted: at least 0."));
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var policy in report.Policies)
        {
            Require(policy is not null, "Policies holds null.");
            Require(!string.IsNullOrWhiteSpace(policy!.Name), "A policy's Name is empty.");
            Require(names.Add(policy.Name), $"Two policies are called '{policy.Name}'; accepted: each of a name of its own.");
            Require(policy.Description is not null, $"The Description of policy '{policy.Name}' is null; accepted: any text.");
            Require(policy.Result is not null, $"The Result of policy '{policy.Name}' is null.");
            Check(policy.Name, policy.Result!);
        }
    }

    private static void Check(string name, SimulationResult result)
    {
        var end = TimeSpan.Zero;
        foreach (var step in result.History)
        {
            var what = $"The history of policy '{name}' at {step.Start}";
            Require(step.Start >= end && step.Length > TimeSpan.Zero, $"{what}: a step begins before the one before it ended, or has no length ({step.Length}).");
            Require(Fits(step.Serving, result.Offerings.Count) && Fits(step.Capacity, result.Offerings.Count),
                $"{what}: Serving and Capacity need a finite number of at least 0 for each of {result.Offerings.Count} offerings.");
            Require(step.Forecast is null || (step.Forecast is { Low: >= 0 } f && f.Low <= f.Median && f.Median <= f.High && double.IsFinite(f.High)),
                $"{what}: the forecast {step.Forecast} is no band of finite rates of at least 0.");
            end = step.Start + step.Length;
        }
        var last = new LatencyTailPoint(TimeSpan.Zero, 1);
        foreach (var point in result.LatencyTail)
        {
            Require(point.Latency >= last.Latency && point.ShareAbove <= last.ShareAbove && point.ShareAbove >= 0,
                FormattableString.Invariant($"The latency tail of policy '{name}' goes from {last} to {point}; accepted: latencies ascend, shares fall, from at most 1 to at least 0."));
            last = point;
        }
    }

    private static bool Fits(ImmutableArray<double> values, int count) =>
        !values.IsDefault && values.Length == count && values.All(v => v >= 0 && double.IsFinite(v));

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new ArgumentException(otherwise);
        }
    }
}
