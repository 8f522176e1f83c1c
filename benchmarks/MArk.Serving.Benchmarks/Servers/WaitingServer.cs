using MArk.Serving.Benchmarks.Models;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.Benchmarks.Servers;

/// <summary>The engine on instances that take their time and do nothing: a batch's time is exactly its profile's, as in a simulation.</summary>
internal sealed class WaitingServer : IServer
{
    private const string Model = "waiting";

    private readonly IHost _host;
    private readonly TimedDevice _device;
    private readonly IModelClient<float[], float[]> _client;
    private readonly IModelMonitor _monitor;

    private WaitingServer(IHost host, TimedDevice device)
    {
        _host = host;
        _device = device;
        _client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>(Model);
        _monitor = host.Services.GetRequiredKeyedService<IModelMonitor>(Model);
    }

    public string Name => "engine";

    public bool RefusesWaiting { get; set; }

    public ModelReport Report => _monitor.GetReport();

    /// <summary>How many batches took more than a millisecond longer than their time: the machine paused, or did something else.</summary>
    public long Overslept => _device.Overslept;

    public static async Task<WaitingServer> StartAsync(LatencyProfile profile, int instances, TimeSpan slo)
    {
        var device = new TimedDevice(profile);
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>(Model, m => m
            .UseRunner(_ => new TimedRunnerFactory(device, outputLength: 0)).WithWarmUpInput([]).WithConcurrency(instances).WithSlo(slo).WithOptions(o => o.MaxBatchSize = profile.MaxBatchSize));
        var host = builder.Build();
        await host.StartAsync();
        return new WaitingServer(host, device);
    }

    public ValueTask<InferenceResult<float[]>> TryInferAsync(float[] input) => _client.TryInferAsync(input);

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }
}
