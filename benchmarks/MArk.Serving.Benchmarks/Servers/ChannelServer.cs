using System.Threading.Channels;
using MArk.Serving.Benchmarks.Models;

namespace MArk.Serving.Benchmarks.Servers;

/// <summary>The batcher one writes in an afternoon: a channel, and threads that take whatever is there, up to the limit. No deadline, no limit on the queue.</summary>
internal sealed class ChannelServer : IServer
{
    private readonly Channel<PendingRequest> _channel;
    private readonly BatchLoop _loop;
    private readonly int _maxBatch;

    public ChannelServer(BenchmarkModel model, int instances, int maxBatch)
    {
        _channel = Channel.CreateUnbounded<PendingRequest>(new UnboundedChannelOptions { SingleReader = instances == 1 });
        _maxBatch = maxBatch;
        _loop = new BatchLoop(model, instances, maxBatch, Take);
    }

    public string Name => "greedy channel";

    public bool RefusesWaiting
    {
        get => _loop.RefusesWaiting;
        set => _loop.RefusesWaiting = value;
    }

    public ValueTask<InferenceResult<float[]>> TryInferAsync(float[] input)
    {
        var request = new PendingRequest(input);
        _channel.Writer.TryWrite(request);
        return request.Answer;
    }

    public ValueTask DisposeAsync()
    {
        _channel.Writer.Complete();
        _loop.Join();
        return ValueTask.CompletedTask;
    }

    private bool Take(List<PendingRequest> batch)
    {
        while (batch.Count == 0)
        {
            while (batch.Count < _maxBatch && _channel.Reader.TryRead(out var request))
            {
                batch.Add(request);
            }
            if (batch.Count == 0 && !_channel.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
            {
                return false;
            }
        }
        return true;
    }
}
