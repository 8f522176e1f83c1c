using System.Threading.Channels;

namespace MArk.Serving.Benchmarks.Peers;

/// <summary>The batcher one writes in an afternoon: a channel, and a reader that takes whatever is there, up to the limit. No deadline, no limit on the queue.</summary>
internal sealed class ChannelBatcher : IBatcher
{
    private readonly Channel<(int Input, TaskCompletionSource<int> Done)> _channel =
        Channel.CreateUnbounded<(int, TaskCompletionSource<int>)>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Task _loop;

    public ChannelBatcher(int maxBatch) => _loop = Task.Run(() => LoopAsync(maxBatch));

    public string Name => "greedy channel";

    public ValueTask<int> InferAsync(int input)
    {
        var done = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        _channel.Writer.TryWrite((input, done));
        return new ValueTask<int>(done.Task);
    }

    public async ValueTask DisposeAsync()
    {
        _channel.Writer.Complete();
        await _loop;
    }

    private async Task LoopAsync(int maxBatch)
    {
        var batch = new List<(int Input, TaskCompletionSource<int> Done)>(maxBatch);
        while (await _channel.Reader.WaitToReadAsync())
        {
            while (batch.Count < maxBatch && _channel.Reader.TryRead(out var item))
            {
                batch.Add(item);
            }
            foreach (var (input, done) in batch)
            {
                done.SetResult(input);
            }
            batch.Clear();
        }
    }
}
