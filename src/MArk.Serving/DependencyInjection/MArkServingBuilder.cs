using System.Diagnostics.CodeAnalysis;
using MArk.Serving.Configuration;
using MArk.Serving.Engine;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.DependencyInjection;

/// <summary>Adds served models to a host.</summary>
public static class MArkServingServiceCollectionExtensions
{
    /// <summary>Adds the serving engine; each model is added to what this returns.</summary>
    /// <param name="services">The host's services.</param>
    /// <returns>The builder.</returns>
    public static MArkServingBuilder AddMArkServing(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.AddLogging();
        services.AddOptions();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, ServingHostedService>());
        return new MArkServingBuilder(services);
    }
}

/// <summary>Adds served models.</summary>
public sealed class MArkServingBuilder
{
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    internal MArkServingBuilder(IServiceCollection services) => Services = services;

    /// <summary>The host's services.</summary>
    public IServiceCollection Services { get; }

    /// <summary>
    /// Adds a model. Its client is the keyed service <see cref="IModelClient{TIn, TOut}"/> under the model's name; it runs from the host's start to
    /// its stop. Settings come from the configuration section <c>MArk:Models:{name}</c>, then from <paramref name="configure"/>, and are checked at start.
    /// </summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="name">The model's name; unique, not empty.</param>
    /// <param name="configure">What the model runs on, and its settings.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The name is empty or taken, or the model was given nothing to run it.</exception>
    public MArkServingBuilder AddModel<TIn, TOut>(string name, Action<ModelBuilder<TIn, TOut>> configure)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(configure);
        if (!_names.Add(name))
        {
            throw new ArgumentException($"There is a model '{name}' already; names must be unique.", nameof(name));
        }
        var model = new ModelBuilder<TIn, TOut>(name, Services);
        var options = Services.AddOptions<ModelOptions>(name);
        options.Configure<IServiceProvider>((o, provider) => Bind(provider.GetService<IConfiguration>(), name, o));
        configure(model);
        if (model.RunnerFactory is null)
        {
            throw new ArgumentException($"Model '{name}' has nothing to run it: call UseBatchFunction, UseRunner, or a package's Use... method.", nameof(configure));
        }
        options.ValidateOnStart();
        Services.AddSingleton<IValidateOptions<ModelOptions>>(new ModelOptionsValidator(name));
        Services.AddKeyedSingleton(name, (provider, _) => model.Build(provider));
        Services.AddKeyedSingleton<IModelClient<TIn, TOut>>(name, (provider, key) => provider.GetRequiredKeyedService<ModelEngine<TIn, TOut>>(key));
        Services.AddSingleton<IModelRuntime>(provider => provider.GetRequiredKeyedService<ModelEngine<TIn, TOut>>(name));
        return this;
    }

    private static void Bind(IConfiguration? configuration, string name, ModelOptions options) =>
        configuration?.GetSection($"MArk:Models:{name}").Bind(options);
}

/// <summary>Sets up one model: <c>Use...</c> chooses a part, <c>With...</c> sets a value.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
public sealed class ModelBuilder<TIn, TOut>
{
    private Func<BatchPolicySettings, IBatchPolicy> _createPolicy = static _ => new Batching.SloAwareBatchPolicy();
    private Func<IServiceProvider, ISpilloverTarget<TIn, TOut>>? _spillover;
    private int _concurrency = 1;

    internal ModelBuilder(string name, IServiceCollection services)
    {
        Name = name;
        Services = services;
    }

    /// <summary>The model's name.</summary>
    public string Name { get; }

    /// <summary>The host's services.</summary>
    public IServiceCollection Services { get; }

    internal Func<IServiceProvider, IBatchRunnerFactory<TIn, TOut>>? RunnerFactory { get; private set; }

    /// <summary>Runs batches by a function of the host's: batching alone.</summary>
    /// <param name="function">Answers every index of a batch through the sink.</param>
    /// <param name="concurrency">How many batches may run at a time; at least 1.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseBatchFunction(BatchFunction<TIn, TOut> function, int concurrency = 1)
    {
        ArgumentNullException.ThrowIfNull(function);
        ArgumentOutOfRangeException.ThrowIfLessThan(concurrency, 1);
        _concurrency = concurrency;
        return UseRunner(_ => new DelegateBatchRunnerFactory<TIn, TOut>(function));
    }

    /// <summary>Runs batches by a runner of the host's own.</summary>
    /// <param name="create">Makes the factory of runners.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseRunner(Func<IServiceProvider, IBatchRunnerFactory<TIn, TOut>> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        RunnerFactory = create;
        return this;
    }

    /// <summary>Sizes batches by a policy of the host's own, instead of by the SLO.</summary>
    /// <param name="create">Makes the policy of one model on one offering.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseBatchPolicy(Func<BatchPolicySettings, IBatchPolicy> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        _createPolicy = create;
        return this;
    }

    /// <summary>Sends requests that the instances cannot answer in time elsewhere.</summary>
    /// <param name="create">Makes the target.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> UseSpillover(Func<IServiceProvider, ISpilloverTarget<TIn, TOut>> create)
    {
        ArgumentNullException.ThrowIfNull(create);
        _spillover = create;
        return this;
    }

    /// <summary>Sets the latency objective.</summary>
    /// <param name="slo">Within this time of its arrival a request should be answered.</param>
    /// <param name="serviceLevel">The share of requests that should be.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> WithSlo(TimeSpan slo, double serviceLevel = 0.99) => WithOptions(o =>
    {
        o.Slo = slo;
        o.ServiceLevel = serviceLevel;
    });

    /// <summary>Sets anything else; what is set here goes before configuration.</summary>
    /// <param name="configure">Changes the settings.</param>
    /// <returns>This builder.</returns>
    public ModelBuilder<TIn, TOut> WithOptions(Action<ModelOptions> configure)
    {
        Services.Configure(Name, configure);
        return this;
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "The container owns and disposes the engine.")]
    internal ModelEngine<TIn, TOut> Build(IServiceProvider provider)
    {
        var logger = provider.GetRequiredService<ILoggerFactory>().CreateLogger($"MArk.Serving.{Name}");
        return new ModelEngine<TIn, TOut>(new EngineParts<TIn, TOut>
        {
            ModelName = Name,
            Options = provider.GetRequiredService<IOptionsMonitor<ModelOptions>>().Get(Name),
            RunnerFactory = RunnerFactory!(provider),
            CreatePolicy = _createPolicy,
            Spillover = _spillover?.Invoke(provider),
            FixedInstances = _concurrency,
            Time = provider.GetRequiredService<TimeProvider>(),
            Report = error => Diagnostics.ServingLog.PartFailed(logger, Name, error),
        });
    }
}
