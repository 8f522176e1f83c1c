using Microsoft.ML.OnnxRuntime;

namespace MArk.Serving.OnnxRuntime;

/// <summary>One session, and the memory of a batch.</summary>
internal sealed class OnnxBatchRunner<TIn, TOut>(InferenceSession session, ModelPlan plan, ITensorCodec<TIn, TOut> codec, bool isOnDevice) : IBatchRunner<TIn, TOut>
{
    private readonly RunOptions _runOptions = new();
    private readonly BatchSlot<TIn, TOut> _slot = new(session, plan, codec, isOnDevice);

    public int MaxBatchSize => plan.MaxBatchSize;

    public bool BlocksThread => true;

    public ValueTask RunAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            _slot.Gather(batch);
            _slot.Run(_runOptions);
            _slot.Scatter(batch.Count, sink);
        }
        finally
        {
            _slot.Reset();
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        _slot.Dispose();
        _runOptions.Dispose();
        session.Dispose();
        return ValueTask.CompletedTask;
    }
}
