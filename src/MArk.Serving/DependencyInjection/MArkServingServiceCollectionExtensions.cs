using MArk.Serving.DependencyInjection;
using MArk.Serving.Engine;
using MArk.Serving.Provisioning;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace Microsoft.Extensions.DependencyInjection;

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
        services.TryAddSingleton(new CoreBudget(Environment.ProcessorCount));
        services.TryAddSingleton<CoreShares>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, ServingHostedService>());
        return new MArkServingBuilder(services);
    }
}
