using MArk.Serving.Aws.Lambda;
using MArk.Serving.Configuration;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Tensors;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Aws;

/// <summary>Sends what the fleet cannot answer in time to a Lambda function.</summary>
public static class LambdaModelBuilderExtensions
{
    /// <summary>
    /// Spills the requests of a model with one input and one output, as arrays of numbers, to a Lambda function. Settings come from the configuration section <c>MArk:Models:{name}:Lambda</c>, then from
    /// <paramref name="configure"/>, and are checked at start.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="configure">Which function, and what it costs. Who calls it is found by the AWS SDK's default chain, and needs <c>lambda:InvokeFunction</c>.</param>
    /// <returns>The model's builder.</returns>
    public static ModelBuilder<float[], float[]> UseLambdaSpillover(this ModelBuilder<float[], float[]> model, Action<LambdaSpilloverOptions>? configure = null) =>
        model.UseLambdaSpillover(static () => new SingleTensorCodec<float, float>(), configure);

    /// <summary>Spills the requests of a model with any number of named inputs and outputs to a Lambda function, with settings as for arrays.</summary>
    /// <param name="model">The model.</param>
    /// <param name="configure">Which function, and what it costs.</param>
    /// <returns>The model's builder.</returns>
    public static ModelBuilder<NamedTensors, NamedTensors> UseLambdaSpillover(this ModelBuilder<NamedTensors, NamedTensors> model, Action<LambdaSpilloverOptions>? configure = null) =>
        model.UseLambdaSpillover(static () => new NamedTensorsCodec(), configure);

    /// <summary>Spills the requests of a model to a Lambda function, through a codec, with settings as for arrays.</summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="model">The model.</param>
    /// <param name="createCodec">Makes what maps requests to tensors and back: another one than the fleet's, since it is bound to what the function declares.</param>
    /// <param name="configure">Which function, and what it costs.</param>
    /// <returns>The model's builder.</returns>
    public static ModelBuilder<TIn, TOut> UseLambdaSpillover<TIn, TOut>(this ModelBuilder<TIn, TOut> model, Func<ITensorCodec<TIn, TOut>> createCodec, Action<LambdaSpilloverOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(createCodec);
        var name = model.Name;
        model.AddSettings<LambdaSpilloverOptions>("Lambda");
        var options = model.Services.AddOptions<LambdaSpilloverOptions>(name)
            .Configure<IServiceProvider>((o, provider) => provider.GetService<IConfiguration>()?.GetSection($"MArk:Models:{name}:Lambda").Bind(o));
        if (configure is not null)
        {
            options.Configure(configure);
        }
        options.ValidateOnStart();
        model.Services.AddSingleton<IValidateOptions<LambdaSpilloverOptions>>(new SectionValidator<LambdaSpilloverOptions>(name, "Lambda", static o => o.Violations()));
        return model.UseSpillover(provider => new LambdaSpilloverTarget<TIn, TOut>(
            name, provider.GetRequiredService<IOptionsMonitor<LambdaSpilloverOptions>>().Get(name), createCodec(), provider.GetRequiredService<IOptionsMonitor<ModelOptions>>().Get(name).Slo,
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILoggerFactory>().CreateLogger($"MArk.Serving.{name}")));
    }
}
