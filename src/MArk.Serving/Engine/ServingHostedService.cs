using MArk.Serving.Diagnostics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MArk.Serving.Engine;

/// <summary>Starts every model with the host and drains it on stop.</summary>
internal sealed class ServingHostedService(IEnumerable<IModelRuntime> models, ILogger<ServingHostedService> logger) : IHostedService
{
    private readonly IModelRuntime[] _models = [.. models];

    public async Task StartAsync(CancellationToken cancellationToken)
    {
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
