using System.Threading.Tasks.Dataflow;

namespace MArk.Serving.Benchmarks.Peers;

/// <summary>TPL Dataflow's <see cref="BatchBlock{T}"/> with the timer that everyone adds to it, so that a batch that does not fill leaves too.</summary>
internal sealed class BatchBlockBatcher : IBatcher
{
    private readonly BatchBlock<(int Input, TaskCompletionSource<int> Done)> _batches;
    private readonly ActionBlock<(int Input, TaskCompletionSource<int> Done)[]> _run;
    private readonly Timer _timer;

    public BatchBlockBatcher(int maxBatch, TimeSpan window)
    {
        _batches = new(maxBatch);
        _run = new(static batch =>
        {
            foreach (var (input, done) in batch)
            {
                done.SetResult(input);
            }
        });
        _batches.LinkTo(_run, new DataflowLinkOptions { PropagateCompletion = true });
        _timer = new Timer(_ => _batches.TriggerBatch(), null, window, window);
    }

    public string Name => "BatchBlock + timer";

    public ValueTask<int> InferAsync(int input)
    {
        var done = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        _batches.Post((input, done));
        return new ValueTask<int>(done.Task);
    }

    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync();
        _batches.Complete();
        await _run.Completion;
    }
}
