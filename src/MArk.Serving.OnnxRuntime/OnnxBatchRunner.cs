using Microsoft.ML.OnnxRuntime;

namespace MArk.Serving.OnnxRuntime;

/// <summary>One session, and memory for as many batches as may be under way and one more: one of them runs, while others are gathered or scattered.</summary>
internal sealed class OnnxBatchRunner<TIn, TOut> : IDeferringBatchRunner<TIn, TOut>
{
    private readonly InferenceSession _session;
    private readonly ModelPlan _plan;
    private readonly RunOptions _runOptions = new();
    private readonly Lock _run = new();
    private readonly BatchSlot<TIn, TOut>[] _slots;
    private readonly Stack<BatchSlot<TIn, TOut>> _free;

    /// <param name="session">The session, from now on this runner's own.</param>
    /// <param name="plan">The model.</param>
    /// <param name="codec">Maps requests to tensors and back.</param>
    /// <param name="slots">How many batches may be under way.</param>
    /// <param name="isOnDevice">Whether the session computes in another memory than the processor's.</param>
    public OnnxBatchRunner(InferenceSession session, ModelPlan plan, ITensorCodec<TIn, TOut> codec, int slots, bool isOnDevice)
    {
        _session = session;
        _plan = plan;
        Slots = slots;
        _slots = [.. Enumerable.Range(0, slots + 1).Select(_ => new BatchSlot<TIn, TOut>(session, plan, codec, isOnDevice, Release))];
        _free = new Stack<BatchSlot<TIn, TOut>>(_slots);
    }

    public int MaxBatchSize => _plan.MaxBatchSize;

    public int Slots { get; }

    public bool BlocksThread => true;

    /// <summary>Where shapes are known beforehand: other outputs are ONNX Runtime's own memory, and end with its session.</summary>
    public bool CanDefer => _plan.HasFiniteShapes;

    public ValueTask RunAsync(RequestBatch<TIn> batch, IBatchSink<TOut> sink, CancellationToken cancellationToken)
    {
        Run(batch, cancellationToken).Answer(sink);
        return ValueTask.CompletedTask;
    }

    public IBatchOutputs<TOut> Run(RequestBatch<TIn> batch, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var slot = Take();
        try
        {
            slot.Gather(batch);
            lock (_run)
            {
                cancellationToken.ThrowIfCancellationRequested();
                slot.Run(_runOptions);
            }
            return slot;
        }
        catch
        {
            Release(slot);
            throw;
        }
    }

    public ValueTask DisposeAsync()
    {
        foreach (var slot in _slots)
        {
            slot.Dispose();
        }
        _runOptions.Dispose();
        _session.Dispose();
        return ValueTask.CompletedTask;
    }

    private BatchSlot<TIn, TOut> Take()
    {
        lock (_free)
        {
            return _free.TryPop(out var slot)
                ? slot
                : throw new InvalidOperationException($"More batches at once than the {Slots} that may be under way (PipelineDepth) and one whose answers are read.");
        }
    }

    private void Release(BatchSlot<TIn, TOut> slot)
    {
        slot.Reset();
        lock (_free)
        {
            _free.Push(slot);
        }
    }
}
