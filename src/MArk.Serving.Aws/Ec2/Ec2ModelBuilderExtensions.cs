using System.Diagnostics.Metrics;
using MArk.Serving.Aws.Ec2;
using MArk.Serving.DependencyInjection;
using MArk.Serving.OpenInference;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MArk.Serving.Aws;

/// <summary>Serves models from machines of EC2.</summary>
public static class Ec2ModelBuilderExtensions
{
    private const string MeterName = "MArk.Serving";

    /// <summary>
    /// Serves from machines of EC2, as many as the planner wants: on demand, spot, and standby. Their workers speak the Open Inference Protocol; <c>UseOpenInference</c> runs the model on them. Settings come
    /// from the configuration section <c>MArk:Models:{name}:Ec2</c>, then from <paramref name="configure"/>, and are checked at start.
    /// </summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="model">The model.</param>
    /// <param name="configure">What can be launched, and how it is reached.</param>
    /// <returns>The model's builder.</returns>
    public static ModelBuilder<TIn, TOut> UseEc2<TIn, TOut>(this ModelBuilder<TIn, TOut> model, Action<Ec2Options>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        var name = model.Name;
        model.AddSettings<Ec2Options>("Ec2").AddSettings<Ec2Offering>("Ec2:Offerings:*");
        var options = model.Services.AddOptions<Ec2Options>(name).Configure<IServiceProvider>((o, provider) => provider.GetService<IConfiguration>()?.GetSection($"MArk:Models:{name}:Ec2").Bind(o));
        if (configure is not null)
        {
            options.Configure(configure);
        }
        options.ValidateOnStart();
        model.Services.AddSingleton<IValidateOptions<Ec2Options>>(new SectionValidator<Ec2Options>(name, "Ec2", static o => o.Violations()));
        return OpenInferenceModelBuilderExtensions.UseOwnProvider(model, provider => new Ec2InstanceProvider(
            provider.GetRequiredService<IOptionsMonitor<Ec2Options>>().Get(name),
            name,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILoggerFactory>().CreateLogger($"MArk.Serving.{name}"),
            provider.GetService<IMeterFactory>()?.Create(MeterName) ?? new Meter(MeterName)));
    }
}
