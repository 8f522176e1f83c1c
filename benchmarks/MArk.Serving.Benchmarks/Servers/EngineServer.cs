using MArk.Serving.Benchmarks.Models;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.OnnxRuntime;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.Benchmarks.Servers;

/// <summary>The engine on a model, with all its SLO logic; its instances have warmed up and are measured.</summary>
internal sealed class EngineServer : IServer
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromMinutes(1);

    private readonly IHost _host;
    private readonly IModelClient<float[], float[]> _client;
    private readonly InferenceOptions _options;

    private EngineServer(IHost host, BenchmarkModel model, EngineSettings settings)
    {
        _host = host;
        _client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>(model.Name);
        _options = new InferenceOptions { WhenUnreachable = settings.WhenUnreachable };
        Name = settings.Name;
    }

    public string Name { get; }

    public bool RefusesWaiting { get; set; }

    public IServiceProvider Services => _host.Services;

    public static async Task<EngineServer> StartAsync(BenchmarkModel model, EngineSettings settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>(model.Name, m =>
        {
            _ = model.Device is { } device ? m.UseRunner(_ => new TimedRunnerFactory(device, model.OutputLength)).WithWarmUpInput(model.Inputs[0]) : m.UseOnnx(model.Path);
            m.WithSlo(settings.Slo).WithOptions(o => o.MaxBatchSize = settings.MaxBatch);
            if (settings.Instances == 1)
            {
                m.WithConcurrency(1);
            }
            else
            {
                m.UseLocalInstances(settings.Instances).UsePlanner(_ => new StaticPlanner(settings.Instances));
                m.WithOptions(o => o.Fleet.MinInstances = o.Fleet.MaxInstances = settings.Instances);
            }
            settings.Configure?.Invoke(m);
        });
        var host = builder.Build();
        await host.StartAsync();
        if (settings.Instances > 1)
        {
            await UntilReadyAsync(host.Services.GetRequiredKeyedService<IModelMonitor>(model.Name), settings.Instances);
        }
        return new EngineServer(host, model, settings);
    }

    public ValueTask<InferenceResult<float[]>> TryInferAsync(float[] input) => _client.TryInferAsync(input, _options);

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }

    private static async Task UntilReadyAsync(IModelMonitor monitor, int instances)
    {
        using var timeout = new CancellationTokenSource(StartTimeout);
        while (monitor.GetReport().ReadyInstances < instances)
        {
            await Task.Delay(20, timeout.Token);
        }
    }
}
