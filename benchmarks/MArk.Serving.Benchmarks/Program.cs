using MArk.Serving.Benchmarks;

return args switch
{
    ["overhead", .. var rest] => await OverheadBenchmark.RunAsync(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: benchmarks <verb> [--quick] [--json FILE]");
    Console.Error.WriteLine("verbs: overhead   what the engine costs a request of a model that does nothing, against bare batchers");
    return 2;
}
