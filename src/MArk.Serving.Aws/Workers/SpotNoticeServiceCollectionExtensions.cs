using MArk.Serving.Aws;
using MArk.Serving.Aws.Workers;
using MArk.Serving.OpenInference;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Has a worker on a spot machine say that it will be taken away.</summary>
public static class SpotNoticeServiceCollectionExtensions
{
    /// <summary>
    /// Watches the machine's metadata, and, once EC2 says that the machine is taken away, has the server drain (<see cref="ServerDrain"/>): the hosts that use it are told within a probe, and take their
    /// work elsewhere. For workers; <c>AddOpenInferenceServer</c> is to be called too.
    /// </summary>
    /// <param name="services">The worker's services.</param>
    /// <param name="configure">Where the metadata is, and how often it is read.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddSpotNotice(this IServiceCollection services, Action<SpotNoticeOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.AddOptions<SpotNoticeOptions>().Configure(o => configure?.Invoke(o)).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<SpotNoticeOptions>, Validator>());
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, SpotNoticeWatch>());
        return services;
    }

    private sealed class Validator : IValidateOptions<SpotNoticeOptions>
    {
        public ValidateOptionsResult Validate(string? name, SpotNoticeOptions options) =>
            options.Violation is { } violation ? ValidateOptionsResult.Fail($"{nameof(SpotNoticeOptions)}.{violation}") : ValidateOptionsResult.Success;
    }
}
