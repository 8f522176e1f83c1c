namespace MArk.Serving.Engine;

/// <summary>Runs a batch by calling a function: batching alone, with no model file, fleet or provisioning.</summary>
/// <typeparam name="TIn">A request's input.</typeparam>
/// <typeparam name="TOut">A request's answer.</typeparam>
/// <param name="batch">The inputs.</param>
/// <param name="sink">Takes one answer for each.</param>
/// <param name="cancellationToken">Cancelled when the host stops hard.</param>
/// <returns>When the batch is done.</returns>
public delegate ValueTask BatchFunction<TIn, TOut>(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken);

internal sealed class DelegateBatchRunnerFactory<TIn, TOut>(BatchFunction<TIn, TOut> function) : IBatchRunnerFactory<TIn, TOut>
{
    public ValueTask<IBatchRunner<TIn, TOut>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) =>
        new(new Runner(function));

    private sealed class Runner(BatchFunction<TIn, TOut> function) : IBatchRunner<TIn, TOut>
    {
        public ValueTask RunAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken) =>
            function(batch, sink, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
