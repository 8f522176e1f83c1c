using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using MArk.Serving.Simulation;
using MArk.Serving.Simulation.Reporting;
using Spectre.Console;

namespace CostStudy;

/// <summary>The paper's evaluation, on its inputs: what serving costs against SageMaker, on demand and on spot machines; how far from the cheapest there is; surges; spot losses.</summary>
internal static class PaperStudy
{
    private const int PeakInstances = 30;       // so that a whole instance more or less is little

    // Table 5 as printed: on demand, spot.
    private static readonly Dictionary<string, (string Key, double OnDemand, double Spot)> Printed = new()
    {
        ["inception-v3"] = ("inception", 3.63, 6.21),
        ["nasnet"] = ("nasnet", 2.79, 5.91),
        ["lstm-ptb"] = ("lstm", 2.41, 6.54),
        ["opennmt-ende"] = ("opennmt", 3.15, 7.83),
    };

    public static int Run(DirectoryInfo output, int seed, bool quick)
    {
        StudyReportWriter.EnsureWritable(output.FullName);
        var paper = PaperData.Load();
        var result = new JsonObject();
        foreach (var model in paper.Models)
        {
            result[Printed[model.Name].Key] = Of(new Question(paper, model, output.FullName, seed, quick));
        }
        Console.WriteLine($"RESULT {result.ToJsonString()}");
        return 0;
    }

    private static JsonObject Of(Question question)
    {
        var (model, printed) = (question.Model, Printed[question.Model.Name]);
        AnsiConsole.Write(new Rule(Markup.Escape(model.Name)).LeftJustified());
        var day = Diurnal(question);
        var (onDemand, spot, managed) = (ResultOf(day, "mark-serving"), ResultOf(day, "mark-serving-spot"), ResultOf(day, "sagemaker"));
        var (onDemandRatio, spotRatio) = (Ratio(managed.TotalCost, onDemand.TotalCost), Ratio(managed.TotalCost, spot.TotalCost));
        var (onDemandIdeal, spotIdeal) = question.Ideals();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"SageMaker's cost over ours, on demand: {onDemandRatio:0.00} (printed {printed.OnDemand}, fluid ideal {onDemandIdeal:0.00}); spot: {spotRatio:0.00} (printed {printed.Spot}, fluid ideal {spotIdeal:0.00})"));
        var overDiurnal = OverBound(question, "diurnal, scaled", question.Scaled(question.DiurnalTrace()));
        var overMmpp = OverBound(question, "mmpp, scaled", question.Scaled(question.MmppTrace()));
        Surges(question);
        SpotLosses(question);
        return new JsonObject
        {
            ["onDemandRatio"] = Math.Round(onDemandRatio, 3),
            ["spotRatio"] = Math.Round(spotRatio, 3),
            ["onDemandIdeal"] = Math.Round(onDemandIdeal, 3),
            ["spotIdeal"] = Math.Round(spotIdeal, 3),
            ["onDemandSloShare"] = Math.Round(onDemand.SloAttainment, 5),
            ["spotSloShare"] = Math.Round(spot.SloAttainment, 5),
            ["overBoundDiurnal"] = overDiurnal,
            ["overBoundMmpp"] = overMmpp,
        };
    }

    private static IReadOnlyList<PolicyOutcome> Diurnal(Question question)
    {
        var study = question.Case(question.DiurnalTrace());
        string[] policies = ["mark-serving", "mark-serving-spot", "mark", "mark-spot", "sagemaker", "hpa", "kpa", "ray-serve", "static-peak", "clairvoyant"];
        return Study.Report(
            study, [.. policies.Select(StudyPolicies.Find)], $"{question.Model.Name}: a day",
            string.Create(CultureInfo.InvariantCulture, $"The paper's inputs; a diurnal load of {question.Model.MeanRate} requests/s on average. The bound is that of machines on demand."),
            boundWithSpot: false, Path.Combine(question.Output, question.Model.Name)).Policies;
    }

    private static double OverBound(Question question, string what, ArrivalTrace trace)
    {
        var study = question.Case(trace);
        var ours = Study.Simulate(study, [StudyPolicies.Find("mark-serving")])[0].Result;
        var bound = Bounds.Of(study, withSpot: false, Study.BoundTime);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{what} to a peak of {trace.PeakRate:0} requests/s: {ours.TotalCost:0.00} dollars, {ours.SloAttainment:P2} in time, {ours.PeakInstances} instances; {ours.TotalCost / bound.Integer:0.000} of the bound, {bound.Integer:0.00}, {ours.TotalCost / bound.Fractional:0.000} of the LP's{(bound.IsOptimal ? "" : $" (the bound is proven; the best schedule found costs {bound.BestFound:0.00})")}"));
        return Math.Round((double)(ours.TotalCost / bound.Integer), 3);
    }

    private static void Surges(Question question)
    {
        var workload = question.Paper.Workload("surge");
        foreach (var percent in workload.GetProperty("step_percent").EnumerateArray().Select(p => p.GetDouble()))
        {
            var at = TimeSpan.FromMinutes(workload.GetProperty("at_minute").GetDouble());
            var trace = Workloads.Surge(TimeSpan.FromMinutes(workload.GetProperty("minutes").GetDouble()), question.Model.MeanRate, 1 + percent / 100, at);
            Print(question, FormattableString.Invariant($"surge of {percent} %"), question.Case(trace), ["mark-serving", "sagemaker"], at);
        }
    }

    private static void SpotLosses(Question question)
    {
        var workload = question.Paper.Workload("spot_loss");
        foreach (var percent in workload.GetProperty("percent").EnumerateArray().Select(p => p.GetDouble()))
        {
            var at = TimeSpan.FromMinutes(workload.GetProperty("at_minute").GetDouble());
            var study = question.Case(Workloads.Constant(TimeSpan.FromMinutes(30), question.Model.MeanRate)) with { SpotLosses = [new SpotLoss(at, percent / 100)] };
            Print(question, FormattableString.Invariant($"{percent} % of the spot machines lost"), study, ["mark-serving-spot"], at);
        }
    }

    /// <summary>The share in time, and until when after an event it is below the service level in some minute.</summary>
    private static void Print(Question question, string what, StudyCase study, string[] policies, TimeSpan at)
    {
        foreach (var (name, _, result) in Study.Simulate(study, [.. policies.Select(StudyPolicies.Find)]))
        {
            var last = result.History.LastOrDefault(step => step.Start >= at - step.Length && step.InTime < question.Model.ServiceLevel * step.Arrivals);
            var recovered = last is null ? "never below the service level" : string.Create(CultureInfo.InvariantCulture, $"back at the service level after {(last.Start + last.Length - at).TotalMinutes:0} min");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}, {name}: {result.SloAttainment:P2} in time, {recovered}; {(double)result.Spilled / result.Requests:P2} spilled, {result.TotalCost:0.000} dollars"));
        }
    }

    private static SimulationResult ResultOf(IReadOnlyList<PolicyOutcome> outcomes, string policy) => outcomes.Single(o => o.Name == policy).Result;

    private static double Ratio(decimal theirs, decimal ours) => (double)(theirs / ours);

    /// <summary>One of the paper's models.</summary>
    private sealed record Question(PaperData Paper, StudyModel Model, string Output, int Seed, bool Quick)
    {
        public ArrivalTrace DiurnalTrace()
        {
            var workload = Paper.Workload("diurnal");
            return Workloads.Diurnal(
                Quick ? TimeSpan.FromHours(0.5) : TimeSpan.FromHours(workload.GetProperty("hours").GetDouble()), Model.MeanRate, workload.GetProperty("peak_over_valley").GetDouble(), noise: 0.05, Seed);
        }

        /// <summary>Two rates, r and 2r, whose mean over time is the model's.</summary>
        public ArrivalTrace MmppTrace()
        {
            var workload = Paper.Workload("mmpp");
            double[] rates = Numbers(workload, "rates");
            double[] dwells = Numbers(workload, "mean_dwell_minutes");
            var r = Model.MeanRate * dwells.Sum() / rates.Zip(dwells, (rate, dwell) => rate * dwell).Sum();
            return Workloads.Mmpp(
                Quick ? TimeSpan.FromHours(0.5) : TimeSpan.FromHours(workload.GetProperty("hours").GetDouble()), [.. rates.Select(rate => r * rate)], [.. dwells.Select(TimeSpan.FromMinutes)], Seed);
        }

        /// <summary>The load at which the busiest slot needs thirty of the cheapest machines, if it does not anyway.</summary>
        public ArrivalTrace Scaled(ArrivalTrace trace) => trace.Scale(Math.Max(1, PeakInstances * Case(trace).CheapestThroughput() / trace.PeakRate));

        public StudyCase Case(ArrivalTrace trace) => new() { Model = Model, Prices = Paper.Prices, Billing = Paper.Billing, Trace = trace, Seed = Seed };

        /// <summary>
        /// SageMaker's cost over ours if machines could be had in parts, at once, and to the load exactly: what a request costs without batching on the cheapest managed type, which is used
        /// to the safety factor, over what it costs at full batches on the cheapest type.
        /// </summary>
        public (double OnDemand, double Spot) Ideals()
        {
            var managed = Model.Machines.Where(m => m.Profile.Mean(1) <= Model.Slo && Paper.Prices[m.Type].Managed is not null)
                .Min(m => (double)Paper.Prices[m.Type].Managed!.Value * m.Profile.Mean(1).TotalSeconds) / 0.5;
            double Ours(Func<StudyPrice, decimal> price) => Cheapest(price) is var (machine, throughput) ? (double)price(Paper.Prices[machine.Type]) / throughput : double.NaN;
            return (managed / Ours(p => p.OnDemand), managed / Ours(p => p.Spot ?? p.OnDemand));
        }

        private (StudyMachine Machine, double Throughput) Cheapest(Func<StudyPrice, decimal> price) => Model.Machines
            .Select(m => (Machine: m, Throughput: LowerBound.RawThroughput(m.Profile, Model.Slo, m.Profile.MaxBatchSize)))
            .Where(m => m.Throughput > 0).MinBy(m => (double)price(Paper.Prices[m.Machine.Type]) / m.Throughput);

        private static double[] Numbers(JsonElement of, string name) => [.. of.GetProperty(name).EnumerateArray().Select(n => n.GetDouble())];
    }
}
