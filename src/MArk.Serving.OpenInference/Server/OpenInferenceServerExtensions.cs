using Grpc.AspNetCore.Server;
using MArk.Serving.OpenInference.Delivery;
using MArk.Serving.OpenInference.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace MArk.Serving.OpenInference;

/// <summary>Serves a host's models to clients of the Open Inference Protocol.</summary>
public static class OpenInferenceServerExtensions
{
    /// <summary>Adds what <see cref="MapOpenInference"/> needs.</summary>
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
            provider.GetServices<Hosting.IServedModel>(), provider.GetRequiredService<IOptions<OpenInferenceServerOptions>>(), provider.GetService<ModelRepository>()));
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

    /// <summary>
    /// Maps the protocol: every model of the host, and those that are loaded while it runs. REST at <c>/v2</c>, with tensors in JSON or in the binary form, Triton's repository and
    /// statistics calls, and the v1 form at <c>/v1/models/{model}:predict</c>; gRPC where the server listens for HTTP/2.
    /// </summary>
    /// <param name="endpoints">The application.</param>
    /// <returns>To demand authorization, or a rate limit, of all of them.</returns>
    /// <exception cref="InvalidOperationException"><see cref="AddOpenInferenceServer"/> was not called.</exception>
    /// <exception cref="ServingException">A model's types cannot be made of tensors, or an option is outside its range; says which.</exception>
    public static IEndpointConventionBuilder MapOpenInference(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var calls = endpoints.ServiceProvider.GetService<InferenceCalls>()
            ?? throw new InvalidOperationException($"Nothing is there to serve the protocol: call services.{nameof(AddOpenInferenceServer)}() before the application is built.");
        var group = endpoints.MapGroup("");
        new RestEndpoints(calls).Map(group);
        new PredictV1Endpoints(calls).Map(group);
        group.MapGrpcService<GrpcInferenceService>().WithMetadata(new UnlimitedBody()).Add(endpoint => endpoint.RequestDelegate = GrpcKeys.Guard(calls, endpoint.RequestDelegate!));
        return group;
    }

    /// <summary>The limit is this server's own, and not that of the web server: messages are bounded as they are read.</summary>
    private sealed class UnlimitedBody : IRequestSizeLimitMetadata
    {
        public long? MaxRequestBodySize => null;
    }
}
