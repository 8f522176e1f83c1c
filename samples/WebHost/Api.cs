using System.Globalization;
using System.Text.Json.Serialization;
using MArk.Serving;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.OpenInference;
using MArk.Serving.Provisioning;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace WebHost;

/// <summary>The web API: an image in, a digit out. Its model is three worker processes, which load the file that the host names.</summary>
internal static class Api
{
    public const int Workers = 3;
    private const string Model = "digits";

    public static string ModelFile => Path.Combine(AppContext.BaseDirectory, "Assets", "digits.onnx");

    public static WebApplication Build(int port, TimeSpan slo, bool isQuiet)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(isQuiet ? LogLevel.Critical : LogLevel.Warning);
        builder.WebHost.UseUrls(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));
        builder.Services.ConfigureHttpJsonOptions(json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, ApiJson.Default));
        builder.Services.AddMArkServing().AddModel<float[], float[]>(Model, m => m
            .UseOpenInference(new OpenInferenceOptions { Model = Model, Artifact = ModelArtifact.OfFile(ModelFile, "1"), LeastCallTimeout = slo / 4 })
            .UseProcesses(new ProcessOffering
            {
                FileName = "dotnet",
                Arguments = [Path.Combine(AppContext.BaseDirectory, "Worker.dll")],
                Environment = new Dictionary<string, string>
                {
                    ["ASPNETCORE_URLS"] = "http://127.0.0.1:{port}",
                    // Workers load only what is below this.
                    ["Worker__AllowedSources__0"] = new Uri(Path.GetDirectoryName(ModelFile)! + "/").AbsoluteUri,
                },
                PricePerHour = 0.1m,
            })
            .UsePlanner(_ => new StaticPlanner(Workers))
            .WithSlo(slo));
        var app = builder.Build();
        app.MapPost("/digits", async (float[] pixels, [FromKeyedServices(Model)] IModelClient<float[], float[]> digits, CancellationToken cancellationToken) =>
            await digits.TryInferAsync(pixels, cancellationToken: cancellationToken) is var result && result.TryGetValue(out var scores)
                ? Results.Ok(new Answer(scores.IndexOf(scores.Max())))
                : Results.Problem(result.Error?.Message, statusCode: result.Status == InferenceStatus.Invalid ? StatusCodes.Status400BadRequest : StatusCodes.Status503ServiceUnavailable));
        return app;
    }

    public static IModelMonitor Monitor(WebApplication app) => app.Services.GetRequiredKeyedService<IModelMonitor>(Model);

    public static async Task UntilReadyAsync(WebApplication app, CancellationToken cancellationToken)
    {
        while (Monitor(app).GetReport().ReadyInstances < Workers)
        {
            await Task.Delay(50, cancellationToken);
        }
    }

    public static Uri Address(WebApplication app) => new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

    public static string CurlLine(WebApplication app) =>
        $"curl -s {Address(app)}digits -H 'content-type: application/json' -d '[{string.Join(',', Digits.HeldOut[0].Pixels.Select(p => p.ToString(CultureInfo.InvariantCulture)))}]'";
}

/// <summary>What the API answers.</summary>
/// <param name="Digit">The digit that the image shows.</param>
internal sealed record Answer(int Digit);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(float[]))]
[JsonSerializable(typeof(Answer))]
[JsonSerializable(typeof(Microsoft.AspNetCore.Mvc.ProblemDetails))]
internal sealed partial class ApiJson : JsonSerializerContext;
