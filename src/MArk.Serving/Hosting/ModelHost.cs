using System.Diagnostics.Metrics;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Hosting;

/// <summary>Starts models while their host runs: for a host that learns only then what to serve.</summary>
public static class ModelHost
{
    /// <summary>Starts a model.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="host">The services of the host, to which <c>AddMArkServing</c> was added.</param>
    /// <param name="name">The model's name. It is not among the host's keyed services.</param>
    /// <param name="configure">What the model runs on, and its settings.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The model, loaded and warm.</returns>
    /// <exception cref="ServingException">It cannot be loaded or warmed up.</exception>
    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">A setting is outside its range; names it.</exception>
    public static async Task<ModelHost<TIn, TOut>> StartAsync<TIn, TOut>(IServiceProvider host, string name, Action<ModelBuilder<TIn, TOut>> configure, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(host);
        var services = new ServiceCollection();
        Share<TimeProvider>(host, services);
        Share<ILoggerFactory>(host, services);
        // Not the host's: instruments of a meter that lives on would keep the model that they tell of.
        services.AddSingleton<IMeterFactory, OwnMeters>();
        Share<IConfiguration>(host, services);
        Share<CoreBudget>(host, services);
        services.AddSingleton(new ModelNames { AreAll = false });
        services.AddMArkServing().AddModel(name, configure);
        var provider = services.BuildServiceProvider();
        try
        {
            IHostedService[] parts = [.. provider.GetServices<IHostedService>()];
            foreach (var part in parts)
            {
                await part.StartAsync(cancellationToken).ConfigureAwait(false);
            }
            return new ModelHost<TIn, TOut>(provider, parts);
        }
        catch
        {
            await provider.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>What is shared is the host's to dispose of.</summary>
    private static void Share<T>(IServiceProvider host, ServiceCollection services) where T : class
    {
        if (host.GetService<T>() is { } shared)
        {
            services.AddSingleton(shared);
        }
    }

    /// <summary>Meters that end with the model.</summary>
    private sealed class OwnMeters : IMeterFactory
    {
        private readonly List<Meter> _meters = [];

        public Meter Create(MeterOptions options)
        {
            var meter = new Meter(options);
            _meters.Add(meter);
            return meter;
        }

        public void Dispose() => _meters.ForEach(meter => meter.Dispose());
    }
}

/// <summary>A model that is started and stopped while its host runs: for a host that learns only then what to serve. It is set up as with <c>AddModel</c>, and shares the host's cores, clock and logs; its instruments have the names of the host's, and end with it.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public sealed class ModelHost<TIn, TOut> : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly IHostedService[] _parts;

    internal ModelHost(ServiceProvider services, IHostedService[] parts)
    {
        (_services, _parts) = (services, parts);
        Model = (IServedModel<TIn, TOut>)services.GetRequiredService<IServedModel>();
    }

    /// <summary>The model.</summary>
    public IServedModel<TIn, TOut> Model { get; }

    /// <summary>Takes nothing new, finishes what was accepted within the drain time, and unloads the model.</summary>
    /// <param name="cancellationToken">Gives up what runs still.</param>
    /// <returns>When it has stopped.</returns>
    public Task StopAsync(CancellationToken cancellationToken = default) => Task.WhenAll(_parts.Select(part => part.StopAsync(cancellationToken)));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        await _services.DisposeAsync().ConfigureAwait(false);
    }
}
