using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using MArk.Serving.Prediction;
using MArk.Serving.Simulation;

namespace MArk.Serving.Benchmarks.Forecasting;

/// <summary>
/// How good the predictors' distributions are: a rolling-origin backtest of each on recorded arrivals, or on made-up ones, with the weighted quantile loss
/// (wQL) over the levels 0.5, 0.8, 0.9, 0.95 and 0.99, MASE of the median, and the share of samples that P50, P90 and P99 cover. Every predictor has the
/// same conformal residuals.
/// </summary>
internal static class ForecastBenchmark
{
    private const int ShortSeries = 500;    // intervals; shorter ones are reported apart
    private const string Subject = "auto";
    private const string Baseline = "seasonal-naive";

    public static Task<int> RunAsync(string[] args)
    {
        Option[] options =
        [
            Option.Optional("--traces", "DIR|FILE...", takesMany: true), Option.Optional("--predictors", $"of {string.Join(", ", Candidates.Accepted)}", takesMany: true),
            Option.Optional("--plots", "DIR"), Option.Integer("--horizon", 60, 1, WorkloadForecast.MaxHorizon, quick: 20), Option.Number("--step-s", 60, 5, 86_400),
            Option.Integer("--seed", 1, 1, 1_000_000), Option.Integer("--days", 3, 1, 28), Option.Integer("--retrain-after", 360, 1, 20_160),
        ];
        return Task.FromResult(Arguments.Parse(args, options) is { } arguments ? Run(arguments) : 2);
    }

    private static int Run(Arguments arguments)
    {
        try
        {
            var series = Series(arguments).ToList();
            var names = arguments.Texts("--predictors") is { Length: > 0 } chosen
                ? [.. Candidates.Named(chosen).Append(Baseline).Distinct()]
                : Predictors.Names.ToArray();
            var horizon = arguments.Integer("--horizon");
            foreach (var name in names)
            {
                _ = Candidates.Create(name, new PredictorOptions(), arguments.Integer("--retrain-after"));
            }
            Console.WriteLine($"{Format.Machine()}\nhorizon {horizon} intervals, from every interval after the first tenth; seed {arguments.Integer("--seed")}");
            return arguments.Finish(Measure(arguments, series, names, horizon));
        }
        catch (Exception e) when (e is ServingException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
    }

    private static JsonObject Measure(Arguments arguments, List<ForecastSeries> series, string[] names, int horizon)
    {
        var (traces, shorter, ratios) = (new JsonObject(), new JsonObject(), new List<double>());
        foreach (var one in series)
        {
            var isShort = one.Intervals < ShortSeries;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"\n{one.Name}: {one.Intervals} intervals of {one.Step.TotalSeconds} s, samples of {one.SampleLength.TotalSeconds} s{(isShort ? " (short)" : "")}"));
            Console.WriteLine("                         wQL    MASE    P50    P90    P99   ms/tick");
            var results = new Dictionary<string, BacktestResult>();
            foreach (var name in names)
            {
                var plot = arguments.Text("--plots").Length > 0 ? new ForecastPlot(one, name, horizon) : null;
                var predictor = Candidates.Create(name, new PredictorOptions { Horizon = horizon, Interval = one.Step }, arguments.Integer("--retrain-after"));
                var result = results[name] = Backtest.Run(one, predictor, horizon, arguments.Integer("--seed"), plot);
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{name,-20} {result.Wql,7:0.0000} {result.Mase,7:0.000} {result.Coverage[0],6:0.000} {result.Coverage[1],6:0.000} {result.Coverage[2],6:0.000} {result.TickMs,9:0.000}{(result.Trainings > 0 ? $"   {result.Trainings} trainings of {result.TrainingSeconds:0.0} s" : "")}"));
                if (plot is not null)
                {
                    Directory.CreateDirectory(arguments.Text("--plots"));
                    plot.Save(Path.Combine(arguments.Text("--plots"), $"{one.Name}-{name}.svg"));
                }
            }
            var subject = results.GetValueOrDefault(Subject) ?? results[names[0]];
            var others = results.Where(r => r.Value != subject && Candidates.IsBuiltIn(r.Key)).Select(r => r.Value.Wql).DefaultIfEmpty(subject.Wql).Min();
            (isShort ? shorter : traces)[one.Name] = new JsonObject
            {
                ["p90Coverage"] = Figure(subject.Coverage[1]),
                ["wql"] = Figure(subject.Wql),
                ["wqlOverBest"] = Format.Ratio(subject.Wql, others),
                ["wqlOverSeasonalNaive"] = Format.Ratio(subject.Wql, results[Baseline].Wql),
                ["p50Coverage"] = Figure(subject.Coverage[0]),
                ["p99Coverage"] = Figure(subject.Coverage[2]),
                ["mase"] = Figure(subject.Mase),
                ["wqlOf"] = new JsonObject(results.Select(r => KeyValuePair.Create(r.Key, Figure(r.Value.Wql)))),
            };
            if (!isShort)
            {
                ratios.Add(subject.Wql / results[Baseline].Wql);
            }
        }
        Console.WriteLine($"\none tick with 14 days of history: {TickCost.Samples} samples and a forecast, ms (median, highest)");
        var costs = new JsonObject();
        var tick = 0.0;
        foreach (var name in names)
        {
            var (median, highest) = TickCost.Measure(Candidates.Create(name, new PredictorOptions { Horizon = horizon }, arguments.Integer("--retrain-after")), horizon, arguments.Quick);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-20} {median,7:0.000} {highest,7:0.000}"));
            costs[name] = Format.Round(median);
            tick = Candidates.IsBuiltIn(name) ? Math.Max(tick, median) : tick;
        }
        return new JsonObject
        {
            ["traces"] = traces,
            ["short"] = shorter,
            ["meanWqlOverSeasonalNaive"] = ratios.Count > 0 ? Figure(ratios.Average()) : null,
            ["tickMs"] = Format.Round(tick),
            ["tickMsOf"] = costs,
        };
    }

    /// <summary>Null where there is no such figure: an error over a series that never changes, or without requests.</summary>
    private static JsonNode? Figure(double value) => double.IsFinite(value) ? Format.Round(value) : null;

    private static IEnumerable<ForecastSeries> Series(Arguments arguments)
    {
        var step = TimeSpan.FromSeconds(arguments.Number("--step-s"));
        var paths = arguments.Texts("--traces");
        if (paths.Length == 0)
        {
            foreach (var (name, trace) in MadeUpTraces.All(arguments.Integer("--seed"), arguments.Integer("--days"), arguments.Quick))
            {
                yield return new ForecastSeries(name, trace, step);
            }
        }
        foreach (var path in paths)
        {
            string[] files = Directory.Exists(path) ? [.. Directory.GetFiles(path, "*.csv").Order(StringComparer.Ordinal)] : [path];
            if (files.Length == 0)
            {
                throw new TraceFormatException(path, 0, "the directory has no file *.csv.");
            }
            foreach (var file in files)
            {
                yield return new ForecastSeries(Path.GetFileNameWithoutExtension(file), ArrivalTrace.Load(file), step);
            }
        }
    }
}

/// <summary>What a tick costs a predictor that has seen two weeks of minutes.</summary>
internal static class TickCost
{
    public const int Samples = 12;

    private static readonly DateTimeOffset Begin = new(2024, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static (double MedianMs, double HighestMs) Measure(IWorkloadPredictor predictor, int horizon, bool quick)
    {
        var random = new Random(1);
        var (minute, slot) = (TimeSpan.FromMinutes(1), TimeSpan.FromSeconds(5));
        var history = quick ? 1440 : 14 * 1440;
        long Count(DateTimeOffset at, double seconds) => (long)(seconds * 20 * (1 + 0.7 * Math.Sin(2 * Math.PI * (at - Begin).TotalDays)) * (0.8 + 0.4 * random.NextDouble()));
        for (var i = 0; i < history; i++)
        {
            var at = Begin + i * minute;
            var count = Count(at, 60);
            predictor.Observe(new ArrivalSample(at, minute, count) { PeakRate = 1.3 * count / 60 });
        }
        while ((predictor as ITrainable)?.TakeTrainingJob() is { } job)
        {
            job.Run(CancellationToken.None);
            job.Apply();
        }
        var forecast = new WorkloadForecast(horizon, minute);
        var times = new List<double>();
        for (var tick = 0; tick < 300; tick++)
        {
            var at = Begin + (history + tick) * minute;
            var began = Stopwatch.GetTimestamp();
            for (var i = 0; i < Samples; i++)
            {
                predictor.Observe(new ArrivalSample(at + i * slot, slot, Count(at, 5)));
            }
            forecast.Start = at + minute;
            predictor.Forecast(forecast);
            times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }
        times.Sort();
        return (times[times.Count / 2], times[^1]);
    }
}
