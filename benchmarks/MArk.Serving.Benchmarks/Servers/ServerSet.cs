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
    public async Task<IServer> SpillAsync(TimeSpan delay)
    {
        var answer = new float[model.OutputLength];
        var quote = new SpilloverQuote
        {
            // A timer ends up to a millisecond and a half late.
            Warm = LatencyQuantiles.Constant(delay + TimeSpan.FromMilliseconds(1.5)),
            Cold = LatencyQuantiles.Constant(delay + TimeSpan.FromMilliseconds(1.5)),
            FreeConcurrency = 1_000_000,
            WarmConcurrency = 1_000_000,
            ValidFor = TimeSpan.FromSeconds(1),
        };
        return await EngineServer.StartAsync(model, Settings("engine, spillover") with
        {
            WhenUnreachable = WhenUnreachable.Spill,
            Configure = m => m.UseSpillover(
                async (batch, sink, ct) =>
                {
                    await Task.Delay(delay, ct);
                    for (var i = 0; i < batch.Count; i++)
                    {
                        sink.SetResult(i, answer);
                    }
                },
                () => quote),
        });
    }

    private async Task<IServer> EngineAsync(string name, WhenUnreachable whenUnreachable) =>
        await EngineServer.StartAsync(model, Settings(name) with { WhenUnreachable = whenUnreachable });

    private EngineSettings Settings(string name) => new() { Name = name, Slo = slo, Instances = instances, MaxBatch = maxBatch };
}
