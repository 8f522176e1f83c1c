using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Simulation;
using MArk.Serving.Simulation.Reporting;

namespace CostStudy;

/// <summary>Recorded loads, each scaled to the same size of fleet: what every policy costs, and whether ours is the cheapest that keeps the service level.</summary>
internal static class TracesStudy
{
    private const string Ours = "mark-serving";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    // What buys otherwise, or knows the future, is no baseline.
    private static readonly string[] Beside = [Ours, "mark-serving-spot", "clairvoyant"];

    public static int Run(DirectoryInfo folder, double peakInstances, StudySettings settings)
    {
        StudyReportWriter.EnsureWritable(settings.Output);
        Study.InRange("--peak-instances", peakInstances, peakInstances is > 0 and < 1e6, "more than 0 and less than 1e6");
        StudyPolicy[] policies = [.. settings.Policies.Prepend(Ours).Distinct().Select(StudyPolicies.Find)];
        var files = folder.Exists ? folder.GetFiles("*.csv").OrderBy(file => file.Name, StringComparer.Ordinal).ToArray() : [];
        if (files.Length == 0)
        {
            throw new StudyInputException("folder", $"there is no file *.csv in '{folder.FullName}'.");
        }
        var paper = PaperData.Load();
        var model = Study.ModelOf(settings, paper);
        var (prices, losses) = (Study.PricesOf(settings), Study.LossesOf(settings));
        // All are read before the first is simulated: a bad one is not to be found after half an hour.
        ArrivalTrace[] loads = [.. files.Select(file => Study.Recorded(file.FullName, settings))];
        var result = new JsonObject();
        foreach (var (file, recorded) in files.Zip(loads))
        {
            var question = new StudyCase { Model = model, Prices = prices, Billing = paper.Billing, Trace = recorded, SpotLosses = losses, Seed = settings.Seed };
            var scale = peakInstances * question.CheapestThroughput() / BusiestMinute(recorded);
            question = question with { Trace = recorded.Scale(scale) };
            var name = Path.GetFileNameWithoutExtension(file.Name);
            var report = Study.Report(
                question, policies, $"{model.Name} on {name}", Study.Describe(settings with { Trace = file.Name, Scale = Math.Round(scale, 4) }, question), boundWithSpot: false, Path.Combine(settings.Output, name));
            result[name] = Figures(report);
        }
        Console.WriteLine($"RESULT {result.ToJsonString()}");
        return 0;
    }

    private static JsonObject Figures(StudyReport report)
    {
        var ours = report.Policies.Single(p => p.Name == Ours).Result;
        var rival = report.Policies.Where(p => !Beside.Contains(p.Name) && p.Result.SloAttainment >= report.ServiceLevel).MinBy(p => p.Result.TotalCost);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{report.Title}: {ours.SloAttainment:P2} in time; {(rival is null ? "no baseline keeps the service level" : $"{ours.TotalCost / rival.Result.TotalCost:0.000} of the cost of {rival.Name}, the cheapest baseline that keeps the service level")}"));
        return new JsonObject
        {
            ["sloShare"] = Math.Round(ours.SloAttainment, 5),
            ["cheapestBaseline"] = rival?.Name,
            ["overBaseline"] = rival is null ? null : Tables.Over(ours.TotalCost, rival.Result.TotalCost),
            ["overBound"] = Tables.Over(ours.TotalCost, report.Bound!.Integer),
        };
    }

    /// <summary>The rate of the busiest minute, or of the busiest slot where that is longer, requests per second.</summary>
    private static double BusiestMinute(ArrivalTrace trace)
    {
        var slots = Math.Max(1, (int)Math.Round(Minute / trace.SlotLength));
        return trace.Counts.Chunk(slots).Max(minute => minute.Sum()) / (slots * trace.SlotLength.TotalSeconds);
    }
}
