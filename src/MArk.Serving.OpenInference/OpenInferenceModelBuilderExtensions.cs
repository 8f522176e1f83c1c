using MArk.Serving.DependencyInjection;
using MArk.Serving.OpenInference.Instances;
using MArk.Serving.Provisioning;
using MArk.Serving.Tensors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.OpenInference;

/// <summary>Runs models on other machines, and says which.</summary>
public static class OpenInferenceModelBuilderExtensions
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(1);

    /// <summary>Runs a model with one input and one output, as arrays of numbers, on instances that speak the Open Inference Protocol.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">How it is reached.</param>
    /// <returns>The model's builder.</returns>
    public static ModelBuilder<float[], float[]> UseOpenInference(this ModelBuilder<float[], float[]> model, OpenInferenceOptions options) =>
        model.UseOpenInference(options, new SingleTensorCodec<float, float>());

    /// <summary>Runs a model with any number of named inputs and outputs on instances that speak the Open Inference Protocol.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">How it is reached.</param>
    /// <returns>The model's builder.</returns>
    public static ModelBuilder<NamedTensors, NamedTensors> UseOpenInference(this ModelBuilder<NamedTensors, NamedTensors> model, OpenInferenceOptions options) =>
        model.UseOpenInference(options, new NamedTensorsCodec());

    /// <summary>Runs a model through a codec on instances that speak the Open Inference Protocol.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="model">The model.</param>
    /// <param name="options">How it is reached.</param>
    /// <param name="codec">Maps requests to tensors and back. One of its own: a codec belongs to one model and version.</param>
    /// <returns>The model's builder.</returns>
    public static ModelBuilder<TIn, TOut> UseOpenInference<TIn, TOut>(this ModelBuilder<TIn, TOut> model, OpenInferenceOptions options, ITensorCodec<TIn, TOut> codec)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(codec);
        return model.UseRunner(provider => new OpenInferenceRunnerFactory<TIn, TOut>(options, codec, provider.GetRequiredService<TimeProvider>(), LoggerOf(provider, model.Name)), threads: 0);
    }

    /// <summary>Serves from servers that run already: all of them that are well.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="model">The model.</param>
    /// <param name="endpoints">Their addresses; at least one.</param>
    /// <returns>The model's builder.</returns>
    /// <exception cref="ArgumentException">An address is none; names it.</exception>
    public static ModelBuilder<TIn, TOut> UseEndpoints<TIn, TOut>(this ModelBuilder<TIn, TOut> model, params Uri[] endpoints) => model.UseEndpoints(new EndpointsOptions { Endpoints = endpoints });

    /// <summary>Serves from servers that run already: all of them that are well.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="model">The model.</param>
    /// <param name="options">Their addresses, and how it is found out whether they are well.</param>
    /// <returns>The model's builder.</returns>
    /// <exception cref="ArgumentException">An option is outside its range; names it.</exception>
    public static ModelBuilder<TIn, TOut> UseEndpoints<TIn, TOut>(this ModelBuilder<TIn, TOut> model, EndpointsOptions options)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        var count = options.Endpoints.Count;
        return UseOwnProvider(model, provider => new EndpointInstanceProvider(options, provider.GetRequiredService<TimeProvider>(), LoggerOf(provider, model.Name)))
            // They are there, and cost what they cost: none is saved by leaving one out.
            .UsePlanner(_ => new StaticPlanner(count))
            .WithOptions(o =>
            {
                o.Fleet.MaxInstances = Math.Max(o.Fleet.MaxInstances, count);
                // One that is away is waited for: nothing is gained by asking for it again.
                o.Fleet.ReadyTimeout ??= LongestWait;
            });
    }

    /// <summary>Serves from worker processes on this machine, as many as the planner wants. They end with this process: on Linux also where it is killed, elsewhere where it ends by itself.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="model">The model.</param>
    /// <param name="offerings">The kinds of processes there are; at least one.</param>
    /// <returns>The model's builder.</returns>
    /// <exception cref="ArgumentException">An option is outside its range; names it.</exception>
    public static ModelBuilder<TIn, TOut> UseProcesses<TIn, TOut>(this ModelBuilder<TIn, TOut> model, params ProcessOffering[] offerings)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(offerings);
        foreach (var offering in offerings)
        {
            offering.Check();
        }
        return UseOwnProvider(model, provider => new ProcessInstanceProvider(offerings, provider.GetRequiredService<TimeProvider>(), LoggerOf(provider, model.Name)));
    }

    /// <summary>A provider that ends with the host's services.</summary>
    internal static ModelBuilder<TIn, TOut> UseOwnProvider<TIn, TOut, TProvider>(ModelBuilder<TIn, TOut> model, Func<IServiceProvider, TProvider> create) where TProvider : class, IInstanceProvider
    {
        model.Services.AddKeyedSingleton(model.Name, (provider, _) => create(provider));
        return model.UseInstanceProvider(provider => provider.GetRequiredKeyedService<TProvider>(model.Name));
    }

    private static ILogger LoggerOf(IServiceProvider provider, string model) => provider.GetRequiredService<ILoggerFactory>().CreateLogger($"MArk.Serving.{model}");
}
