using MArk.Serving.Benchmarks;
using MArk.Serving.Benchmarks.Forecasting;
using MArk.Serving.Benchmarks.Micro;
using MArk.Serving.Benchmarks.Planning;
using MArk.Serving.Benchmarks.Simulating;
using MArk.Serving.Benchmarks.Wire;

(string Name, string About, Func<string[], Task<int>> RunAsync)[] verbs =
[
    ("steadiness", "whether the machine is steady enough for goodput, max-load and reload: what it makes of the same work from one moment to the next", SteadinessBenchmark.RunAsync),
    ("overhead", "what the engine costs a request of a model that does nothing, against bare batchers", OverheadBenchmark.RunAsync),
    ("saturation", "requests/s over raw capacity when 256 callers never let a server idle", SaturationBenchmark.RunAsync),
    ("goodput", "the share of an open-loop load answered within the objective, at 0.5 to 2 times the raw capacity", GoodputBenchmark.RunAsync),
    ("max-load", "the highest Poisson rate with 99 % within the objective, over the best peer and over raw capacity", MaxLoadBenchmark.RunAsync),
    ("reload", "what requests notice of hot reloads: failures, and what they add to the 99th percentile", ReloadBenchmark.RunAsync),
    ("wire", "what the Open Inference Protocol costs in each of its forms, against the engine in process", WireBenchmark.RunAsync),
    ("forecast", "how good the predictors' distributions are, on recorded and made-up arrivals: coverage, quantile loss, cost of a tick", ForecastBenchmark.RunAsync),
    ("plan", "how far the planner's schedules are from the cheapest there are, and how long it takes", PlanBenchmark.RunAsync),
    ("simulate", "how quickly a day of traffic is simulated, request by request, with all that serves by default", SimulateBenchmark.RunAsync),
    ("fidelity", "whether the simulator tells what the live engine does, on the same arrivals", FidelityBenchmark.RunAsync),
    ("micro", "BenchmarkDotNet over single decisions: enqueue, decide, complete, forecast, plan", MicroBenchmark.RunAsync),
];

if (args is [var name, .. var rest] && Array.Find(verbs, v => v.Name == name) is { RunAsync: { } runAsync })
{
    return await runAsync(rest);
}
Console.Error.WriteLine("usage: benchmarks <verb> [--quick] [--json FILE] [the verb's own options]");
foreach (var verb in verbs)
{
    Console.Error.WriteLine($"  {verb.Name,-12} {verb.About}");
}
return 2;
