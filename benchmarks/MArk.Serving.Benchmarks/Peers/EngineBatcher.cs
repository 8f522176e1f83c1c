using MArk.Serving.DependencyInjection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.Benchmarks.Peers;

/// <summary>The engine with its full SLO logic: admission, deadlines, the default policy, counters.</summary>
internal sealed class EngineBatcher : IBatcher
{
    private readonly IHost _host;
    private readonly IModelClient<int, int> _client;

    private readonly CancellationTokenSource[] _tokens;

    private EngineBatcher(IHost host, int callersWithToken)
    {
        _host = host;
        _tokens = [.. Enumerable.Range(0, callersWithToken).Select(_ => new CancellationTokenSource())];
        _client = host.Services.GetRequiredKeyedService<IModelClient<int, int>>("noop");
    }

    public string Name => _tokens.Length > 0 ? "engine, with a token" : "MArk.Serving engine";

    public static async Task<IBatcher> StartAsync(int maxBatch, int callersWithToken = 0)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<int, int>("noop", m => m
            .UseBatchFunction((batch, sink, _) =>
            {
                sink.SetResults(0, batch.Inputs);
                return ValueTask.CompletedTask;
            })
            .WithSlo(TimeSpan.FromMilliseconds(100))
            .WithOptions(o => o.MaxBatchSize = maxBatch));
        var host = builder.Build();
        await host.StartAsync();
        return new EngineBatcher(host, callersWithToken);
    }

    /// <summary>A caller's input is its number: with tokens each has its own, which it gives with every request.</summary>
    public ValueTask<int> InferAsync(int input) => _tokens.Length > 0
        ? _client.InferAsync(input, cancellationToken: _tokens[input].Token)
        : _client.InferAsync(input);

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        foreach (var token in _tokens)
        {
            token.Dispose();
        }
    }
}
