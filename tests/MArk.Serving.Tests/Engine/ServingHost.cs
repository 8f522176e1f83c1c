using System.Collections.Concurrent;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using MArk.Serving.Engine;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Tests.Engine;

/// <summary>A host with one model "m", and what its engine logged.</summary>
internal sealed class ServingHost : IAsyncDisposable
{
    private readonly IHost _host;

    private readonly string _model;

    private ServingHost(IHost host, string model, Journal log)
    {
        _host = host;
        _model = model;
        Log = log;
    }

    public Journal Log { get; }

    public IModelClient<int, int> Client => _host.Services.GetRequiredKeyedService<IModelClient<int, int>>(_model);

    public IModelReloader<int, int> Reloader => _host.Services.GetRequiredKeyedService<IModelReloader<int, int>>(_model);

    public ModelEngine<int, int> Engine => _host.Services.GetRequiredKeyedService<ModelEngine<int, int>>(_model);

    public IModelMonitor Monitor => _host.Services.GetRequiredKeyedService<IModelMonitor>(_model);

    /// <summary>Waits for a report that a condition holds for; gives up after a minute, which fails the test.</summary>
    public async Task<ModelReport> UntilAsync(Func<ModelReport, bool> condition)
    {
        using var giveUp = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        ModelReport? last = null;
        await foreach (var report in Monitor.WatchAsync(TimeSpan.FromMilliseconds(5), giveUp.Token))
        {
            last = report;
            if (condition(report))
            {
                return report;
            }
        }
        throw new TimeoutException($"It never came to that; the last report: {last}. Errors: {string.Join("; ", Log.Errors.Select(e => e.Message))}");
    }

    public static async Task<ServingHost> StartAsync(
        Action<ModelBuilder<int, int>> configure, Dictionary<string, string?>? settings = null, bool start = true, string model = "m")
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        var log = new Journal();
        builder.Logging.AddProvider(log);
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Services.AddMArkServing().AddModel(model, configure);
        var host = new ServingHost(builder.Build(), model, log);
        if (start)
        {
            try
            {
                await host._host.StartAsync();
            }
            catch
            {
                await host.DisposeHostAsync();
                throw;
            }
        }
        return host;
    }

    public Task StopAsync() => _host.StopAsync();

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        await DisposeHostAsync();
    }

    /// <summary>Disposes of it as it is, without a stop.</summary>
    public async ValueTask DisposeHostAsync()
    {
        if (_host is IAsyncDisposable disposable)
        {
            await disposable.DisposeAsync();
        }
    }

    /// <summary>Keeps the errors and the warnings that were logged.</summary>
    internal sealed class Journal : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<Exception> Errors { get; } = new();

        public ConcurrentQueue<string> Warnings { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (exception is not null)
            {
                Errors.Enqueue(exception);
            }
            else if (logLevel == LogLevel.Warning)
            {
                Warnings.Enqueue(formatter(state, exception));
            }
        }

        public void Dispose()
        {
            // Nothing is held.
        }
    }
}

/// <summary>A batch function whose batches wait until the test lets them go.</summary>
internal sealed class GatedDoubler
{
    private readonly SemaphoreSlim _gate = new(0);

    public ConcurrentQueue<int[]> Batches { get; } = new();

    public SemaphoreSlim Entered { get; } = new(0);

    public void Open(int batches = 1_000_000) => _gate.Release(batches);

    public async ValueTask RunAsync(RequestBatch<int> batch, IBatchSink<int> sink, CancellationToken cancellationToken)
    {
        Batches.Enqueue(batch.Inputs.ToArray());
        Entered.Release();
        await _gate.WaitAsync(cancellationToken);
        for (var i = 0; i < batch.Count; i++)
        {
            sink.SetResult(i, 2 * batch[i]);
        }
    }
}
