using MArk.Serving;
using MArk.Serving.OpenInference.Server;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Serves a host's models to clients of the Open Inference Protocol.</summary>
public static class OpenInferenceEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Maps the protocol: every model of the host, and those that are loaded while it runs. REST at <c>/v2</c>, with tensors in JSON or in the binary form, Triton's repository and
    /// statistics calls, and the v1 form at <c>/v1/models/{model}:predict</c>; gRPC where the server listens for HTTP/2.
    /// </summary>
    /// <param name="endpoints">The application.</param>
    /// <returns>To demand authorization, or a rate limit, of all of them.</returns>
    /// <exception cref="InvalidOperationException"><see cref="OpenInferenceServiceCollectionExtensions.AddOpenInferenceServer"/> was not called.</exception>
    /// <exception cref="ServingException">A model's types cannot be made of tensors, or an option is outside its range; says which.</exception>
    public static IEndpointConventionBuilder MapOpenInference(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var calls = endpoints.ServiceProvider.GetService<InferenceCalls>()
            ?? throw new InvalidOperationException($"Nothing is there to serve the protocol: call services.{nameof(OpenInferenceServiceCollectionExtensions.AddOpenInferenceServer)}() before the application is built.");
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
