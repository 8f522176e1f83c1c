using MArk.Serving.Configuration;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Engine;

/// <summary>Starts every model with the host and drains it on stop.</summary>
internal sealed class ServingHostedService(IEnumerable<IModelRuntime> models, ModelNames names, ILogger<ServingHostedService> logger, IConfiguration? configuration = null) : IHostedService
{
    private readonly IModelRuntime[] _models = [.. models];

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var section in configuration is null ? [] : names.Strangers(configuration))
        {
            ServingLog.NoSuchModel(logger, section, names.ToString());
        }
        foreach (var model in _models)
        {
            await model.StartAsync(cancellationToken).ConfigureAwait(false);
            ServingLog.Started(logger, model.ModelName);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.WhenAll(_models.Select(async model =>
    {
        await model.StopAsync(cancellationToken).ConfigureAwait(false);
        ServingLog.Stopped(logger, model.ModelName);
    }));
}
