namespace MArk.Serving.Engine;

// Probes of instances that failed.
internal sealed partial class ModelEngine<TIn, TOut>
{
    private async Task ProbeAsync(InstanceWorker<TIn, TOut> worker)
    {
        var ok = false;
        try
        {
            if (!_parts.TryCreateSample(_factory, out var sample))
            {
                Tell(now => _scheduler.OnProbeImpossible(now, worker.Id));
                return;
            }
            await worker.ProbeAsync(sample, _time).ConfigureAwait(false);
            ok = true;
        }
        catch (Exception e)
        {
            Report(new ServingException($"Instance '{worker.InstanceId}' of model '{ModelName}' failed its probe, and stays out of rotation: {e.Message}", e));
        }
        Tell(now => _scheduler.OnProbeCompleted(now, worker.Id, ok));
    }
}
