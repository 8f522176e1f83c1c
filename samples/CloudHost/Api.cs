using System.Globalization;
using System.Text.Json.Serialization;
using MArk.Serving;
using MArk.Serving.Aws;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.OnnxRuntime;
using MArk.Serving.OpenInference;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace CloudHost;

/// <summary>The web API: an image in, a digit out. Where its model runs, and where bursts go, is said by the configuration alone.</summary>
internal static class Api
{
    public const string Model = "digits";

    public static string ModelFile => Path.Combine(AppContext.BaseDirectory, "Assets", "digits.onnx");

    /// <param name="builder">A builder with its configuration.</param>
    /// <param name="stands">What stands in for the cloud, if anything does: there are things of an emulated machine that no setting says.</param>
    /// <exception cref="ServingException">The configuration says what there is not.</exception>
    public static WebApplication Build(WebApplicationBuilder builder, Action<ModelBuilder<float[], float[]>, Ec2Options>? stands = null)
    {
        builder.Services.ConfigureHttpJsonOptions(json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, ApiJson.Default));
        builder.Services.AddMArkServing().AddModel<float[], float[]>(Model, m =>
        {
            switch (builder.Configuration["Cloud:Platform"])
            {
                case "local":
                    m.UseOnnx(ModelFile).UseLocalInstances().UseLocalSpillover();
                    break;
                case "aws":
                    m.UseOpenInference(new OpenInferenceOptions { Model = Model, Artifact = Artifact(builder.Configuration), ApiKey = builder.Configuration["Cloud:WorkerKey"], PipelineDepth = builder.Configuration.GetValue("Cloud:PipelineDepth", 2) })
                        .UseEc2(ec2 => stands?.Invoke(m, ec2))
                        .UseLambdaSpillover();
                    break;
                case var other:
                    throw new ServingException($"Cloud:Platform is '{other}'; accepted: local, aws.");
            }
        });
        var app = builder.Build();
        app.MapPost("/digits", async (float[] pixels, [FromKeyedServices(Model)] IModelClient<float[], float[]> digits, CancellationToken cancellationToken) =>
            await digits.TryInferAsync(pixels, cancellationToken: cancellationToken) is var result && result.TryGetValue(out var scores)
                ? Results.Ok(new Answer(scores.IndexOf(scores.Max())))
                : Results.Problem(result.Error?.Message, statusCode: result.Status == InferenceStatus.Invalid ? StatusCodes.Status400BadRequest : StatusCodes.Status503ServiceUnavailable));
        return app;
    }

    public static IModelMonitor Monitor(WebApplication app) => app.Services.GetRequiredKeyedService<IModelMonitor>(Model);

    public static string CurlLine(WebApplication app)
    {
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return $"curl -s {address}/digits -H 'content-type: application/json' -d '[{string.Join(',', QuickStart.Workload.Digits()[0].Image.Select(p => p.ToString(CultureInfo.InvariantCulture)))}]'";
    }

    private static ModelArtifact Artifact(ConfigurationManager configuration) => configuration["Cloud:Model:Uri"] is { } uri
        ? new ModelArtifact { Uri = new Uri(uri), Sha256 = configuration["Cloud:Model:Sha256"] ?? "", Version = configuration["Cloud:Model:Version"] ?? "1" }
        : throw new ServingException("Cloud:Model:Uri is not set; accepted: where workers fetch the model, with Cloud:Model:Sha256.");
}

/// <summary>What the API answers.</summary>
/// <param name="Digit">The digit that the image shows.</param>
internal sealed record Answer(int Digit);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(float[]))]
[JsonSerializable(typeof(Answer))]
[JsonSerializable(typeof(Microsoft.AspNetCore.Mvc.ProblemDetails))]
internal sealed partial class ApiJson : JsonSerializerContext;
