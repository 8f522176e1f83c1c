using System.Diagnostics;
using MArk.Serving.Benchmarks.Load;
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
    private readonly Oversleeping _oversleeping;
    private readonly IModelClient<float[], float[]> _client;
    private readonly IModelMonitor _monitor;

    private WaitingServer(IHost host, Oversleeping oversleeping)
    {
        _host = host;
        _oversleeping = oversleeping;
        _client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>(Model);
        _monitor = host.Services.GetRequiredKeyedService<IModelMonitor>(Model);
    }

    public string Name => "engine";

    public bool RefusesWaiting { get; set; }

    public ModelReport Report => _monitor.GetReport();

    /// <summary>How many batches took more than a millisecond longer than their time: the machine paused, or did something else.</summary>
    public long Overslept => Volatile.Read(ref _oversleeping.Batches);

    public static async Task<WaitingServer> StartAsync(LatencyProfile profile, int instances, TimeSpan slo)
    {
        var oversleeping = new Oversleeping();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>(Model, m => m
            .UseRunner(_ => new Factory(profile, oversleeping)).WithWarmUpInput([]).WithConcurrency(instances).WithSlo(slo).WithOptions(o => o.MaxBatchSize = profile.MaxBatchSize));
        var host = builder.Build();
        await host.StartAsync();
        return new WaitingServer(host, oversleeping);
    }

    public ValueTask<InferenceResult<float[]>> TryInferAsync(float[] input) => _client.TryInferAsync(input);

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }

    private sealed class Oversleeping
    {
        public long Batches;
    }

    private sealed class Factory(LatencyProfile profile, Oversleeping oversleeping) : IBatchRunnerFactory<float[], float[]>
    {
        public ValueTask<IBatchRunner<float[], float[]>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(new Runner(profile, oversleeping));
    }

    private sealed class Runner(LatencyProfile profile, Oversleeping oversleeping) : IBatchRunner<float[], float[]>
    {
        private readonly float[][] _answers = [.. Enumerable.Repeat(Array.Empty<float>(), profile.MaxBatchSize)];

        public bool BlocksThread => true;

        public ValueTask RunAsync(RequestBatch<float[]> batch, IBatchSink<float[]> sink, CancellationToken cancellationToken)
        {
            var end = Stopwatch.GetTimestamp() + (long)(profile.Mean(batch.Count).TotalSeconds * Stopwatch.Frequency);
            PreciseSleep.PrepareThread();
            PreciseSleep.Until(end);
            if (Stopwatch.GetTimestamp() - end > Stopwatch.Frequency / 1000)
            {
                Interlocked.Increment(ref oversleeping.Batches);
            }
            sink.SetResults(0, _answers.AsSpan(0, batch.Count));
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
