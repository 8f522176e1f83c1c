using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Simulation;
using MArk.Serving.Simulation.Reporting;
using Spectre.Console;

namespace CostStudy;

/// <summary>One study: a model, a load, and some policies.</summary>
internal static class Study
{
    public static readonly TimeSpan BoundTime = TimeSpan.FromMinutes(1);

    public static int Run(StudySettings settings)
    {
        StudyReportWriter.EnsureWritable(settings.Output);
        StudyPolicy[] policies = [.. settings.Policies.Distinct().Select(StudyPolicies.Find)];
        var paper = PaperData.Load();
        var model = ModelOf(settings, paper);
        var question = new StudyCase
        {
            Model = model,
            Prices = PricesOf(settings),
            Billing = paper.Billing,
            Trace = TraceOf(settings, model),
            SpotLosses = LossesOf(settings),
            Seed = settings.Seed,
        };
        var report = Report(question, policies, $"{model.Name}: what serving it costs", Describe(settings, question), policies.Any(p => p.BuysSpot), settings.Output);
        var result = new JsonObject();
        foreach (var outcome in report.Policies)
        {
            result[outcome.Name] = new JsonObject
            {
                ["cost"] = Math.Round(outcome.Result.TotalCost, 4),
                ["sloShare"] = Math.Round(outcome.Result.SloAttainment, 5),
                ["overBound"] = Tables.Over(outcome.Result.TotalCost, report.Bound!.Integer),
            };
        }
        Console.WriteLine($"RESULT {result.ToJsonString()}");
        return 0;
    }

    /// <summary>Simulates the policies, looks for the bound, and writes and prints the report.</summary>
    public static StudyReport Report(StudyCase question, IReadOnlyList<StudyPolicy> policies, string title, string description, bool boundWithSpot, string output)
    {
        var outcomes = Simulate(question, policies);
        var bound = Bounds.Of(question, boundWithSpot, BoundTime);
        var report = new StudyReport
        {
            Title = title,
            Description = description,
            Slo = question.Model.Slo,
            ServiceLevel = question.Model.ServiceLevel,
            Policies = outcomes,
            Bound = new StudyBound(bound.Fractional, bound.Integer),
        };
        var written = StudyReportWriter.Write(report, output);
        Tables.Print(report);
        AnsiConsole.MarkupLineInterpolated($"{written[0]}\n");
        return report;
    }

    /// <summary>Runs one policy after the other, with a bar for those who wait.</summary>
    public static IReadOnlyList<PolicyOutcome> Simulate(StudyCase question, IReadOnlyList<StudyPolicy> policies)
    {
        var outcomes = new List<PolicyOutcome>();
        AnsiConsole.Progress().AutoClear(true).Start(context =>
        {
            var bar = context.AddTask(question.Model.Name, maxValue: policies.Count);
            foreach (var policy in policies)
            {
                bar.Description = Markup.Escape($"{question.Model.Name}: {policy.Name}");
                outcomes.Add(new PolicyOutcome(policy.Name, policy.About, policy.Run(question)));
                bar.Increment(1);
            }
        });
        return outcomes;
    }

    public static StudyModel ModelOf(StudySettings settings, PaperData paper)
    {
        var model = paper.Models.FirstOrDefault(m => m.Name == settings.Model)
            ?? (File.Exists(settings.Model) ? StudyModel.Load(settings.Model)[0]
                : throw new StudyInputException("--model", $"there is no model and no file '{settings.Model}'; there are: {string.Join(", ", paper.Models.Select(m => m.Name))}, or a file."));
        return model with
        {
            Slo = settings.SloMs is { } slo ? TimeSpan.FromMilliseconds(InRange("--slo-ms", slo, slo is > 0 and < 1e9, "more than 0 and less than 1e9")) : model.Slo,
            ServiceLevel = settings.ServiceLevel is { } level ? InRange("--service-level", level, level is > 0 and < 1, "more than 0 and less than 1") : model.ServiceLevel,
        };
    }

    public static IReadOnlyDictionary<string, StudyPrice> PricesOf(StudySettings settings) =>
        StudyPrices.Load(settings.Prices ?? Path.Combine(AppContext.BaseDirectory, "Data", "prices.csv"));

    public static IReadOnlyList<SpotLoss> LossesOf(StudySettings settings) => settings.Losses is { } path ? SpotLoss.Load(path) : [];

    /// <summary>A recorded load, or its first hours, not scaled.</summary>
    public static ArrivalTrace Recorded(string path, StudySettings settings)
    {
        var recorded = ArrivalTrace.Load(path);
        return HoursOf(settings) is { } first ? recorded.First(first) : recorded;
    }

    private static TimeSpan? HoursOf(StudySettings settings) =>
        settings.Hours is { } hours ? TimeSpan.FromHours(InRange("--hours", hours, hours is > 0 and <= 744, "more than 0, at most 744")) : null;

    private static ArrivalTrace TraceOf(StudySettings settings, StudyModel model)
    {
        var scale = InRange("--scale", settings.Scale, settings.Scale is > 0 and < 1e9, "more than 0 and less than 1e9");
        if (settings.Trace is { } path)
        {
            return Recorded(path, settings).Scale(scale);
        }
        var duration = HoursOf(settings) ?? TimeSpan.FromDays(1);
        var rate = model.MeanRate * scale;
        return settings.Workload switch
        {
            "diurnal" => Workloads.Diurnal(duration, rate, peakOverValley: 4, noise: 0.05, settings.Seed),
            "mmpp" => Workloads.Mmpp(duration, [0.75 * rate, 1.5 * rate], [TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(10)], settings.Seed),
            "flash-crowd" => Workloads.FlashCrowd(duration, rate, times: 5, at: duration / 3),
            "constant" => Workloads.Constant(duration, rate),
            "surge" => Workloads.Surge(duration, rate, times: 2, at: duration / 2),
            _ => throw new StudyInputException("--workload", $"there is no '{settings.Workload}'; there are: diurnal, mmpp, flash-crowd, constant, surge."),
        };
    }

    public static double InRange(string option, double value, bool holds, string accepted) => holds ? value
        : throw new StudyInputException(option, FormattableString.Invariant($"it is {value}; accepted: {accepted}."));

    public static string Describe(StudySettings settings, StudyCase question) => string.Create(CultureInfo.InvariantCulture,
        $"Load: {settings.Trace ?? settings.Workload}, times {settings.Scale}, {question.Trace.Duration.TotalHours:0.##} h, a mean of {question.Trace.Total / question.Trace.Duration.TotalSeconds:0.##} and a peak of {question.Trace.PeakRate:0.##} requests/s. Model: {settings.Model}, objective {question.Model.Slo.TotalMilliseconds} ms for {question.Model.ServiceLevel:P1}. Prices: {settings.Prices ?? "the sample's"}. Seed {settings.Seed}.");
}
