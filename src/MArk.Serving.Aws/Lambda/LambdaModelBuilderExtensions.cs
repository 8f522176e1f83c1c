using MArk.Serving.Aws.Lambda;
using MArk.Serving.Configuration;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Tensors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Aws;

/// <summary>Sends what the fleet cannot answer in time to a Lambda function.</summary>
public static class LambdaModelBuilderExtensions
{
    /// <summary>Spills the requests of a model with one input and one output, as arrays of numbers, to a Lambda function.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">Which function, and what it costs. Who calls it is found by the AWS SDK's default chain, and needs <c>lambda:InvokeFunction</c>.</param>
    /// <returns>The model's builder.</returns>
    /// <exception cref="ArgumentException">An option is outside its range; names it.</exception>
    public static ModelBuilder<float[], float[]> UseLambdaSpillover(this ModelBuilder<float[], float[]> model, LambdaSpilloverOptions options) =>
        model.UseLambdaSpillover(options, new SingleTensorCodec<float, float>());

    /// <summary>Spills the requests of a model with any number of named inputs and outputs to a Lambda function.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">Which function, and what it costs.</param>
    /// <returns>The model's builder.</returns>
    /// <exception cref="ArgumentException">An option is outside its range; names it.</exception>
    public static ModelBuilder<NamedTensors, NamedTensors> UseLambdaSpillover(this ModelBuilder<NamedTensors, NamedTensors> model, LambdaSpilloverOptions options) =>
        model.UseLambdaSpillover(options, new NamedTensorsCodec());

    /// <summary>Spills the requests of a model to a Lambda function, through a codec.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="model">The model.</param>
    /// <param name="options">Which function, and what it costs.</param>
    /// <param name="codec">Maps requests to tensors and back; another one than the fleet's, since it is bound to what the function declares.</param>
    /// <returns>The model's builder.</returns>
    /// <exception cref="ArgumentException">An option is outside its range; names it.</exception>
    public static ModelBuilder<TIn, TOut> UseLambdaSpillover<TIn, TOut>(this ModelBuilder<TIn, TOut> model, LambdaSpilloverOptions options, ITensorCodec<TIn, TOut> codec)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(codec);
        options.Check();
        return model.UseSpillover(provider => new LambdaSpilloverTarget<TIn, TOut>(
            model.Name, options, codec, provider.GetRequiredService<IOptionsMonitor<ModelOptions>>().Get(model.Name).Slo, provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILoggerFactory>().CreateLogger($"MArk.Serving.{model.Name}")));
    }
}
