// Serves a trained model for a bursty day that is compressed into some seconds: requests are batched under a latency objective, instances start
// ahead of load, bursts are spilled, and the money is counted. Then the same day is simulated without batching, and with a fixed fleet for its peak.
using System.CommandLine;
using System.Globalization;
using MArk.Serving;
using QuickStart;

CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;

var trace = new Option<FileInfo?>("--trace") { Description = "Replay the shape of this file instead of the built-in day: lines of offset_s,count." };
var model = new Option<FileInfo?>("--model") { Description = "Serve this ONNX model (one float input, one float output) instead of the digits." };
var slo = new Option<double>("--slo-ms") { Description = "The latency objective in milliseconds.", DefaultValueFactory = _ => 100 };
var seconds = new Option<double>("--seconds") { Description = "How long the day takes.", DefaultValueFactory = _ => 40 };
var seed = new Option<int>("--seed") { Description = "Seeds the arrivals.", DefaultValueFactory = _ => 1 };
Require(slo, 1, 60_000);
Require(seconds, 5, 3_600);

var command = new RootCommand("Serves a model for a day compressed into seconds, under a latency objective.") { trace, model, slo, seconds, seed };
command.SetAction(async (parsed, cancellationToken) =>
{
    var options = new DemoOptions
    {
        TraceFile = parsed.GetValue(trace)?.FullName,
        ModelFile = parsed.GetValue(model)?.FullName,
        Slo = TimeSpan.FromMilliseconds(parsed.GetValue(slo)),
        Duration = TimeSpan.FromSeconds(parsed.GetValue(seconds)),
        Seed = parsed.GetValue(seed),
    };
    try
    {
        await Demo.RunAsync(options, cancellationToken);
        return 0;
    }
    catch (ServingException e)
    {
        await Console.Error.WriteLineAsync($"error: {e.Message}");
        return 1;
    }
});
// What was accepted is answered before it ends, which takes longer than the two seconds that are the default.
return await command.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromMinutes(2) });

static void Require(Option<double> option, double least, double most) => option.Validators.Add(result =>
{
    // What is not a number at all, the parser itself refuses.
    if (result.Tokens is [var token] && double.TryParse(token.Value, CultureInfo.InvariantCulture, out var value) && !(value >= least && value <= most))
    {
        result.AddError(string.Create(CultureInfo.InvariantCulture, $"{option.Name} is {value}; accepted: {least} to {most}."));
    }
});
