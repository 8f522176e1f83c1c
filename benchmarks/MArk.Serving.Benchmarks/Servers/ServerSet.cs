using MArk.Serving.Batching;
using MArk.Serving.Benchmarks.Models;

namespace MArk.Serving.Benchmarks.Servers;

/// <summary>Makes the engine and its peers for one model, all with the same instances and the same largest batch.</summary>
internal sealed class ServerSet(BenchmarkModel model, int instances, int maxBatch, TimeSpan slo)
{
    public async Task<IServer> ServeLateAsync() => await EngineAsync("engine, ServeLate", WhenUnreachable.ServeLate);

    public async Task<IServer> RejectAsync() => await EngineAsync("engine, Reject", WhenUnreachable.Reject);

    public Task<IServer> NaiveAsync() => Task.FromResult<IServer>(new NaiveServer(model, instances));

    public Task<IServer> ChannelAsync() => Task.FromResult<IServer>(new ChannelServer(model, instances, maxBatch));

    public Task<IServer> BatchBlockAsync(TimeSpan window) => Task.FromResult<IServer>(new BatchBlockServer(model, instances, maxBatch, window));

    public async Task<IServer> FixedWindowAsync(TimeSpan window) => await EngineServer.StartAsync(model, Settings("fixed window") with
    {
        Configure = m => m.UseBatchPolicy(settings => new FixedWindowBatchPolicy(settings.MaxBatchSize, window)),
    });

    /// <summary>The engine with a place for what it cannot finish in time: one that answers after a fixed time and uses no processor.</summary>
    public async Task<IServer> SpillAsync(TimeSpan delay) => await EngineServer.StartAsync(model, Settings("engine, spillover") with
    {
        WhenUnreachable = WhenUnreachable.Spill,
        Configure = m => m.UseSpillover(_ => new FixedDelayTarget(delay, new float[model.OutputLength])),
    });

    private async Task<IServer> EngineAsync(string name, WhenUnreachable whenUnreachable) =>
        await EngineServer.StartAsync(model, Settings(name) with { WhenUnreachable = whenUnreachable });

    private EngineSettings Settings(string name) => new() { Name = name, Slo = slo, Instances = instances, MaxBatch = maxBatch };
}
