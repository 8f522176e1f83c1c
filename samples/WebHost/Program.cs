// A web API whose model runs on worker processes: three of them, launched and looked after by the host. Kill one, and see that nothing is lost.
using System.CommandLine;
using System.Globalization;
using MArk.Serving;
using WebHost;

CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;

var port = new Option<int>("--port") { Description = "Where the API listens, at 127.0.0.1; 0 for any port that is free.", DefaultValueFactory = _ => 5080 };
var slo = new Option<double>("--slo-ms") { Description = "The latency objective in milliseconds.", DefaultValueFactory = _ => 500 };
var selfTest = new Option<bool>("--self-test") { Description = "Kill a worker under load, say what became of the requests, and end." };
var rate = new Option<double>("--rate") { Description = "Requests per second of the self-test.", DefaultValueFactory = _ => 150 };
var seconds = new Option<double>("--seconds") { Description = "How long the self-test's load lasts.", DefaultValueFactory = _ => 12 };
Require(port, 0, 65_535);
Require(slo, 1, 60_000);
Require(rate, 1, 10_000);
Require(seconds, 3, 3_600);

var command = new RootCommand("Serves handwritten digits by a web API whose model runs on three worker processes.") { port, slo, selfTest, rate, seconds };
command.SetAction(async (parsed, cancellationToken) =>
{
    try
    {
        await using var app = Api.Build(parsed.GetValue(port), TimeSpan.FromMilliseconds(parsed.GetValue(slo)), isQuiet: parsed.GetValue(selfTest));
        await app.StartAsync(cancellationToken);
        await Api.UntilReadyAsync(app, cancellationToken);
        if (parsed.GetValue(selfTest))
        {
            return await SelfTest.RunAsync(app, parsed.GetValue(rate), TimeSpan.FromSeconds(parsed.GetValue(seconds)), cancellationToken) ? 0 : 1;
        }
        Console.WriteLine($"{Api.Workers} workers serve. Try:\n\n  {Api.CurlLine(app)}\n\nand, meanwhile: kill -9 {WorkerProcesses.Of(Environment.ProcessId).FirstOrDefault()}");
        await app.WaitForShutdownAsync(cancellationToken);
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

static void Require<T>(Option<T> option, double least, double most) => option.Validators.Add(result =>
{
    // What is not a number at all, the parser itself refuses.
    if (result.Tokens is [var token] && double.TryParse(token.Value, CultureInfo.InvariantCulture, out var value) && !(value >= least && value <= most))
    {
        result.AddError(string.Create(CultureInfo.InvariantCulture, $"{option.Name} is {value}; accepted: {least} to {most}."));
    }
});
