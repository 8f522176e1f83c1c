using Microsoft.Extensions.Hosting;

namespace MArk.Serving.OpenInference.Delivery;

/// <summary>Drains the loaded models at the host's stop.</summary>
internal sealed class ModelRepositoryService(ModelRepository repository) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => repository.StopAsync(cancellationToken);
}
