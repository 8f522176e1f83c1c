// A web API whose model runs on this machine, or on EC2 with bursts spilled to Lambda: which of both is a matter of configuration. --emulator has emulators stand in for AWS; --self-test replays a
// bursty day on them, with a spot machine taken away, and says what became of the requests, the machines and the money.
using System.CommandLine;
using System.Globalization;
using CloudHost;
using CloudHost.Emulators;
using MArk.Serving;

CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;

var emulator = new Option<bool>("--emulator") { Description = "Run on emulators of EC2 and Lambda on this machine (moto_server, serverless-offline), with real workers." };
var selfTest = new Option<bool>("--self-test") { Description = "Replay a day, take a spot machine away, say what became of it, and end. With --emulator." };
var port = new Option<int>("--port") { Description = "Where the API listens, at 127.0.0.1, unless ASPNETCORE_URLS says otherwise; 0 for any port that is free.", DefaultValueFactory = _ => 5090 };
var seconds = new Option<double>("--seconds") { Description = "How long the day of the self-test takes.", DefaultValueFactory = _ => 90 };
var seed = new Option<int>("--seed") { Description = "Seeds the arrivals.", DefaultValueFactory = _ => 1 };
Require(port, 0, 65_535);
Require(seconds, 20, 3_600);

var command = new RootCommand("Serves handwritten digits by a web API, on this machine or on AWS.") { emulator, selfTest, port, seconds, seed };
command.Validators.Add(result =>
{
    if (result.GetValue(selfTest) && !result.GetValue(emulator))
    {
        result.AddError("--self-test costs money where it is not told --emulator too; accepted: both.");
    }
});
command.SetAction(async (parsed, cancellationToken) =>
{
    try
    {
        var day = TimeSpan.FromSeconds(parsed.GetValue(seconds));
        await using var cloud = parsed.GetValue(emulator) ? await EmulatedCloud.StartAsync(day, cancellationToken) : null;
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        if (parsed.GetResult(port) is { Implicit: false } || builder.Configuration["urls"] is null)
        {
            builder.WebHost.UseUrls(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{parsed.GetValue(port)}"));
        }
        if (cloud is not null)
        {
            builder.Configuration.AddJsonFile("appsettings.Emulator.json").AddInMemoryCollection(cloud.Settings);
        }
        if (parsed.GetValue(selfTest))
        {
            // A machine that is taken away is warned of, as it is to be.
            builder.Configuration["Logging:LogLevel:Default"] = nameof(LogLevel.Critical);
        }
        await using var app = Api.Build(builder, cloud is null ? null : cloud.StandIn);
        await app.StartAsync(cancellationToken);
        if (parsed.GetValue(selfTest))
        {
            return await SelfTest.RunAsync(app, cloud!, day, parsed.GetValue(seed), cancellationToken) ? 0 : 1;
        }
        Console.WriteLine($"Try:\n\n  {Api.CurlLine(app)}\n");
        await app.WaitForShutdownAsync(cancellationToken);
        return 0;
    }
    catch (Exception e) when (e is ServingException or EmulatorException or Microsoft.Extensions.Options.OptionsValidationException)
    {
        await Console.Error.WriteLineAsync($"error: {e.Message}");
        return 1;
    }
});
// A host that is told to stop drains, and then ends its machines: that takes longer than the two seconds after which it would be ended itself.
return await command.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromMinutes(2) });

static void Require<T>(Option<T> option, double least, double most) => option.Validators.Add(result =>
{
    // What is not a number at all, the parser itself refuses.
    if (result.Tokens is [var token] && double.TryParse(token.Value, CultureInfo.InvariantCulture, out var value) && !(value >= least && value <= most))
    {
        result.AddError(string.Create(CultureInfo.InvariantCulture, $"{option.Name} is {value}; accepted: {least} to {most}."));
    }
});
