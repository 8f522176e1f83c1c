using MArk.Serving.DependencyInjection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.Benchmarks.Peers;

/// <summary>The engine with its full SLO logic: admission, deadlines, the default policy, counters.</summary>
internal sealed class EngineBatcher : IBatcher
{
    private readonly IHost _host;
    private readonly IModelClient<int, int> _client;

    private EngineBatcher(IHost host)
    {
        _host = host;
        _client = host.Services.GetRequiredKeyedService<IModelClient<int, int>>("noop");
    }

    public string Name => "MArk.Serving engine";

    public static async Task<IBatcher> StartAsync(int maxBatch)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<int, int>("noop", m => m
            .UseBatchFunction((batch, sink, _) =>
            {
                for (var i = 0; i < batch.Count; i++)
                {
                    sink.SetResult(i, batch[i]);
                }
                return ValueTask.CompletedTask;
            })
            .WithSlo(TimeSpan.FromMilliseconds(100))
            .WithOptions(o => o.MaxBatchSize = maxBatch));
        var host = builder.Build();
        await host.StartAsync();
        return new EngineBatcher(host);
    }

    public ValueTask<int> InferAsync(int input) => _client.InferAsync(input);

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }
}
