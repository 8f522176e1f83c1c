using System.Net;
using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Servers;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.OpenInference;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.Benchmarks.Wire;

/// <summary>The engine on one worker process of this machine, which is spoken to in one form of the protocol.</summary>
internal sealed class WireServer : IServer
{
    private readonly IHost _host;
    private readonly IModelClient<float[], float[]> _client;

    private WireServer(IHost host, BenchmarkModel model, OpenInferenceForm form, Uri endpoint)
    {
        _host = host;
        _client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>(model.Name);
        (Name, Endpoint) = (form.ToString(), endpoint);
    }

    public string Name { get; }

    public Uri Endpoint { get; }

    public bool RefusesWaiting { get; set; }

    public static async Task<WireServer> StartAsync(BenchmarkModel model, OpenInferenceForm form, int maxBatch, TimeSpan slo)
    {
        var isHttp2 = form == OpenInferenceForm.Grpc;
        Uri? endpoint = null;
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>(model.Name, m => m
            .UseOpenInference(new OpenInferenceOptions
            {
                Model = model.Name,
                Form = form,
                Artifact = ModelArtifact.OfFile(model.Path, "1"),
                // Pauses of a busy machine are no faults of the worker.
                LeastCallTimeout = TimeSpan.FromSeconds(20),
                EndpointOf = instance => endpoint = instance.Endpoint,
            })
            .UseProcesses(new ProcessOffering
            {
                FileName = "dotnet",
                Arguments = [Path.Combine(AppContext.BaseDirectory, "Worker.dll")],
                Environment = new Dictionary<string, string>
                {
                    ["ASPNETCORE_URLS"] = "http://127.0.0.1:{port}",
                    ["Kestrel__EndpointDefaults__Protocols"] = isHttp2 ? "Http2" : "Http1",
                    ["Worker__AllowedSources__0"] = new Uri(Path.GetDirectoryName(model.Path)! + "/").AbsoluteUri,
                },
                Health = new HealthOptions { Path = "v2/health/live", Timeout = TimeSpan.FromSeconds(10), HttpVersion = isHttp2 ? HttpVersion.Version20 : HttpVersion.Version11 },
            })
            .UsePlanner(_ => new StaticPlanner(1))
            .WithSlo(slo).WithOptions(o => o.MaxBatchSize = maxBatch));
        var host = builder.Build();
        await host.StartAsync();
        var monitor = host.Services.GetRequiredKeyedService<IModelMonitor>(model.Name);
        while (monitor.GetReport().ReadyInstances == 0)
        {
            await Task.Delay(20);
        }
        return new WireServer(host, model, form, endpoint!);
    }

    public ValueTask<InferenceResult<float[]>> TryInferAsync(float[] input) => _client.TryInferAsync(input);

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }
}
