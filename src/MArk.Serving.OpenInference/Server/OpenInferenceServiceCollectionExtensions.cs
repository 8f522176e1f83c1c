using Grpc.AspNetCore.Server;
using MArk.Serving.Hosting;
using MArk.Serving.OpenInference;
using MArk.Serving.OpenInference.Delivery;
using MArk.Serving.OpenInference.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds what serves a host's models to clients of the Open Inference Protocol.</summary>
public static class OpenInferenceServiceCollectionExtensions
{
    /// <summary>Adds what <see cref="OpenInferenceEndpointRouteBuilderExtensions.MapOpenInference"/> needs.</summary>
    /// <param name="services">The host's services, to which <c>AddMArkServing</c> is added too.</param>
    /// <param name="configure">Limits, keys, and how a model's types are made of tensors.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddOpenInferenceServer(this IServiceCollection services, Action<OpenInferenceServerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.AddOptions<OpenInferenceServerOptions>();
        if (configure is not null)
        {
            services.Configure(configure);
        }
        services.AddGrpc();
        services.AddOptions<GrpcServiceOptions<GrpcInferenceService>>().Configure<IOptions<OpenInferenceServerOptions>>((grpc, options) =>
        {
            // The whole message: tensors, and what is said of them.
            grpc.MaxReceiveMessageSize = options.Value.Limits.MaxBytes;
            grpc.MaxSendMessageSize = null;
        });
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<ApiKeys>();
        services.TryAddSingleton<ServerDrain>();
        services.TryAddSingleton(provider => new EndpointModels(
            provider.GetServices<IServedModel>(), provider.GetRequiredService<IOptions<OpenInferenceServerOptions>>(), provider.GetService<ModelRepository>()));
        services.TryAddSingleton<InferenceCalls>();
        return services;
    }

    /// <summary>
    /// Has the server load models while it runs, as its clients tell it: a blank machine becomes an instance of whatever model a fleet needs. Only files of <see cref="ModelRepositoryOptions.AllowedSources"/>
    /// are loaded, and only with the digest that the client names.
    /// </summary>
    /// <param name="services">The host's services.</param>
    /// <param name="configure">Where files may come from, and what runs them.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddModelRepository(this IServiceCollection services, Action<ModelRepositoryOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        services.AddOptions<ModelRepositoryOptions>().Configure(configure);
        services.TryAddSingleton<ModelRepository>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, ModelRepositoryService>());
        return services;
    }
}
