using System.Net;
using System.Text;
using MArk.Serving.DependencyInjection;
using MArk.Serving.OpenInference.Tests.Faults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.OpenInference.Tests.Delivery;

/// <summary>Blank servers become instances of a model, and other versions roll over them.</summary>
public sealed class RolloutTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("mark-rollout").FullName;

    private ModelArtifact Version(string version, string content)
    {
        var file = Path.Combine(_root, $"{version}.txt");
        File.WriteAllText(file, content);
        return ModelArtifact.OfFile(file, version);
    }

    private Task<LiveServer> BlankAsync(string? key = null) => LiveServer.StartAsync(_ => { }, o =>
    {
        if (key is not null)
        {
            o.ApiKeys.Add(key);
        }
    }, services => services.AddModelRepository(o =>
    {
        o.AllowedSources.Add(new Uri(_root + "/").AbsoluteUri);
        o.CacheDirectory = Path.Combine(_root, "cache");
        o.Serve = (model, file) => model.UseRunner(_ => new FileModel(file)).WithSlo(TimeSpan.FromSeconds(10));
    }));

    private static async Task<string> IndexAsync(LiveServer server) => await (await server.Http.PostAsync("v2/repository/index", null)).Content.ReadAsStringAsync();

    [Theory]
    [InlineData(OpenInferenceForm.RestBinary)]
    [InlineData(OpenInferenceForm.Grpc)]
    public async Task VersionsRollOverWithoutAFailedRequestAndABadOneDoesNotComeToServe(OpenInferenceForm form)
    {
        await using var first = await BlankAsync();
        await using var second = await BlankAsync();
        OpenInferenceOptions Options(ModelArtifact artifact) => new() { Model = "m", Artifact = artifact, Form = form };
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>("m", m => m
            .UseOpenInference(Options(Version("1", "1")))
            .UseEndpoints(new EndpointsOptions
            {
                Endpoints = form == OpenInferenceForm.Grpc ? [first.Http2Address, second.Http2Address] : [first.Address, second.Address],
                Health = new HealthOptions { Path = "v2/health/live", HttpVersion = form == OpenInferenceForm.Grpc ? HttpVersion.Version20 : HttpVersion.Version11 },
            })
            .WithSlo(TimeSpan.FromSeconds(10)));
        using var host = builder.Build();
        await host.StartAsync();
        var reloader = host.Services.GetRequiredKeyedService<IModelReloader<float[], float[]>>("m");
        var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("m");
        await using var load = new Load<float[], float[]>(host, "m", callers: 4, number => [number], (number, answer) => answer[0] > number);
        await load.Until(() => load.Monitor.GetReport().ReadyInstances == 2);
        Assert.Equal(11f, (await client.InferAsync([10]))[0]);
        await load.GoOnAsync(200);

        await reloader.ReloadOpenInferenceAsync(Options(Version("2", "2")));
        Assert.Equal(12f, (await client.InferAsync([10]))[0]);
        Assert.Equal("""[{"name":"m","version":"2","state":"READY","reason":""}]""", await IndexAsync(first));
        Assert.Equal(await IndexAsync(first), await IndexAsync(second));

        var failed = await Assert.ThrowsAsync<ModelReloadException>(() => reloader.ReloadOpenInferenceAsync(Options(Version("3", "broken"))));
        Assert.Contains("it is broken", failed.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ModelReloadException>(() => reloader.ReloadOpenInferenceAsync(Options(Version("4", "fails"))));
        Assert.Equal(12f, (await client.InferAsync([10]))[0]);
        Assert.DoesNotContain("\"version\":\"4\",\"state\":\"READY\"", await IndexAsync(first), StringComparison.Ordinal);
        Assert.Contains("\"version\":\"3\",\"state\":\"UNAVAILABLE\"", await IndexAsync(first), StringComparison.Ordinal);

        // The same version once more does not unload itself.
        await reloader.ReloadOpenInferenceAsync(Options(Version("2", "2")));
        Assert.Equal(12f, (await client.InferAsync([10]))[0]);
        await load.GoOnAsync(200);
        await load.EndAsync(attainment: 0.99);
        await host.StopAsync();
        Assert.DoesNotContain("READY\"", (await IndexAsync(first)).Replace("UNREADY", "", StringComparison.Ordinal).Replace("\"UNAVAILABLE\"", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LoadsAndUnloadsByHand()
    {
        await using var server = await BlankAsync();
        var one = Version("1", "1");
        Assert.Equal(HttpStatusCode.OK, (await PostAsync("load", one)).Status);
        Assert.Equal(HttpStatusCode.OK, (await PostAsync("load", one)).Status);
        Assert.Equal(HttpStatusCode.OK, (await PostAsync("load", Version("2", "2"))).Status);
        Assert.Contains("\"versions\":[\"1\",\"2\"]", await server.Http.GetStringAsync("v2/models/m"), StringComparison.Ordinal);
        var refused = await PostAsync("load", Version("1", "another"));
        Assert.Equal(HttpStatusCode.BadRequest, refused.Status);
        Assert.Contains("Version '1' of model 'm' is loaded", refused.Text, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.BadRequest, (await PostAsync("load", one with { Uri = new Uri("file:///etc/passwd"), Version = "9" })).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await server.Http.PostAsync("v2/repository/models/m/load", null)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await PostAsync("unload", one)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.GetAsync("v2/models/m/versions/1/ready")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.PostAsync("v2/repository/models/m/unload", null)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.GetAsync("v2/models/m")).StatusCode);

        async Task<(HttpStatusCode Status, string Text)> PostAsync(string call, ModelArtifact artifact)
        {
            using var content = new StringContent($$$"""{"parameters":{"uri":"{{{artifact.Uri}}}","sha256":"{{{artifact.Sha256}}}","version":"{{{artifact.Version}}}"}}""", Encoding.UTF8, "application/json");
            using var response = await server.Http.PostAsync($"v2/repository/models/m/{call}", content);
            return (response.StatusCode, await response.Content.ReadAsStringAsync());
        }
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    /// <summary>A model that is a number in a file, which it adds: or does not load, or fails its warm-up.</summary>
    private sealed class FileModel(string file) : IBatchRunnerFactory<NamedTensors, NamedTensors>
    {
        public ModelSignature? Signature { get; } = new([new TensorSpec("x", TensorElementType.Float32, [1])], [new TensorSpec("y", TensorElementType.Float32, [1])]);

        public async ValueTask InitializeAsync(CancellationToken cancellationToken)
        {
            if (await File.ReadAllTextAsync(file, cancellationToken) == "broken")
            {
                throw new ModelLoadException(file, "it is broken.");
            }
        }

        public async ValueTask<IBatchRunner<NamedTensors, NamedTensors>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) =>
            new Runner(await File.ReadAllTextAsync(file, cancellationToken));

        private sealed class Runner(string content) : IBatchRunner<NamedTensors, NamedTensors>
        {
            public ValueTask RunAsync(RequestBatch<NamedTensors> batch, IBatchSink<NamedTensors> sink, CancellationToken cancellationToken)
            {
                var added = float.Parse(content, System.Globalization.CultureInfo.InvariantCulture);
                for (var i = 0; i < batch.Count; i++)
                {
                    sink.SetResult(i, new NamedTensors { { "y", TensorValue.Create(TensorElementType.Float32, new[] { batch[i]["x"].As<float>()[0] + added }) } });
                }
                return ValueTask.CompletedTask;
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
