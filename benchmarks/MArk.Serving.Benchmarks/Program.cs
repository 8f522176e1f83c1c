using MArk.Serving.Benchmarks;

(string Name, string About, Func<string[], Task<int>> RunAsync)[] verbs =
[
    ("overhead", "what the engine costs a request of a model that does nothing, against bare batchers", OverheadBenchmark.RunAsync),
    ("saturation", "requests/s over raw capacity when 256 callers never let a server idle", SaturationBenchmark.RunAsync),
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
