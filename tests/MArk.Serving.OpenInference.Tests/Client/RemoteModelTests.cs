using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.OpenInference.Tests.Client;

/// <summary>A host whose model runs on servers of the protocol, in each form.</summary>
public sealed class RemoteModelTests
{
    internal static async Task<IHost> HostAsync(Action<ModelBuilder<float[], float[]>> configure)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>("pair", m =>
        {
            m.WithSlo(TimeSpan.FromSeconds(10));
            configure(m);
        });
        var host = builder.Build();
        await host.StartAsync();
        return host;
    }

    [Theory]
    [InlineData(OpenInferenceForm.RestBinary)]
    [InlineData(OpenInferenceForm.RestJson)]
    [InlineData(OpenInferenceForm.Grpc)]
    [InlineData(OpenInferenceForm.PredictV1)]
    public async Task EachFormAnswersEachRequestWithItsOwn(OpenInferenceForm form)
    {
        await using var server = await LiveServer.StartAsync(m => m.AddPair(), TestModels.MapPair);
        using var host = await HostAsync(m => m
            .UseOpenInference(new OpenInferenceOptions { Model = "pair", Form = form, Signature = form == OpenInferenceForm.PredictV1 ? TestModels.Pair : null })
            .UseEndpoints(new EndpointsOptions
            {
                Endpoints = [form == OpenInferenceForm.Grpc ? server.Http2Address : server.Address],
                Health = new HealthOptions { HttpVersion = form == OpenInferenceForm.Grpc ? System.Net.HttpVersion.Version20 : System.Net.HttpVersion.Version11 },
            }));
        await AssertServesAsync(host);
        var report = host.Services.GetRequiredKeyedService<IModelMonitor>("pair").GetReport();
        Assert.True(report.MeanBatch > 1, $"batches of {report.MeanBatch}");
        await host.StopAsync();
    }

    [Fact]
    public async Task RestOverHttp2()
    {
        await using var server = await LiveServer.StartAsync(m => m.AddPair(), o => { TestModels.MapPair(o); o.ApiKeys.Add("secret"); });
        using var host = await HostAsync(m => m
            .UseOpenInference(new OpenInferenceOptions { Model = "pair", HttpVersion = System.Net.HttpVersion.Version20, ApiKey = "secret" })
            .UseEndpoints(new EndpointsOptions { Endpoints = [server.Http2Address], Health = new HealthOptions { HttpVersion = System.Net.HttpVersion.Version20 } }));
        await AssertServesAsync(host);
        await host.StopAsync();
    }

    [Fact]
    public async Task TensorsOfStringsAndOpenShapesGoThroughTheSameCodec()
    {
        await using var server = await LiveServer.StartAsync(m => m.AddEcho("echo", new TensorSpec("text", TensorElementType.String, [-1]), new TensorSpec("n", TensorElementType.Int64, [1])));
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<NamedTensors, NamedTensors>("echo", m => m
            .UseOpenInference(new OpenInferenceOptions { Model = "echo" }).UseEndpoints(server.Address).WithSlo(TimeSpan.FromSeconds(10)));
        using var host = builder.Build();
        await host.StartAsync();
        var client = host.Services.GetRequiredKeyedService<IModelClient<NamedTensors, NamedTensors>>("echo");
        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(async i =>
        {
            string[] text = [.. Enumerable.Range(0, 1 + i % 3).Select(k => $"ä{i}-{k}")];
            var answer = await client.InferAsync(new NamedTensors { { "text", TensorValue.Create(TensorElementType.String, text) }, { "n", TensorValue.Create(TensorElementType.Int64, new long[] { i }) } });
            return answer["y_text"].As<string>().SequenceEqual(text) && answer["y_n"].As<long>()[0] == i;
        }));
        Assert.All(answers, Assert.True);
        await host.StopAsync();
    }

    internal static async Task AssertServesAsync(IHost host)
    {
        var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("pair");
        var answers = await Task.WhenAll(Enumerable.Range(0, 300).Select(async i => (i, Answer: await client.InferAsync([i, 2]))));
        Assert.All(answers, a => Assert.Equal([a.i + 2f, 2f * a.i], a.Answer));
    }
}
