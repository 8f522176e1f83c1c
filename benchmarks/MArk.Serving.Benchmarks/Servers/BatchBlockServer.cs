using System.Threading.Tasks.Dataflow;
using MArk.Serving.Benchmarks.Models;

namespace MArk.Serving.Benchmarks.Servers;

/// <summary>TPL Dataflow's <see cref="BatchBlock{T}"/> with a timer that sends a batch which does not fill within a window.</summary>
internal sealed class BatchBlockServer : IServer
{
    private readonly BatchBlock<PendingRequest> _batches;
    private readonly BatchLoop _loop;
    private readonly TimeSpan _window;
    private readonly Timer _timer;
    private int _armed;

    public BatchBlockServer(BenchmarkModel model, int instances, int maxBatch, TimeSpan window)
    {
        _batches = new(maxBatch);
        _window = window;
        _timer = new Timer(_ => Trigger());
        _loop = new BatchLoop(model, instances, maxBatch, Take);
    }

    public string Name => "BatchBlock + timer";

    public bool RefusesWaiting
    {
        get => _loop.RefusesWaiting;
        set => _loop.RefusesWaiting = value;
    }

    public ValueTask<InferenceResult<float[]>> TryInferAsync(float[] input)
    {
        var request = new PendingRequest(input);
        _batches.Post(request);
        if (Volatile.Read(ref _armed) == 0 && Interlocked.Exchange(ref _armed, 1) == 0)
        {
            _timer.Change(_window, Timeout.InfiniteTimeSpan);
        }
        return request.Answer;
    }

    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync();
        _batches.Complete();
        _loop.Join();
    }

    private void Trigger()
    {
        Volatile.Write(ref _armed, 0);
        // The next request must see that, or be part of this batch.
        Interlocked.MemoryBarrier();
        _batches.TriggerBatch();
    }

    private bool Take(List<PendingRequest> batch)
    {
        PendingRequest[]? requests;
        while (!_batches.TryReceive(out requests))
        {
            if (!_batches.OutputAvailableAsync().GetAwaiter().GetResult())
            {
                return false;
            }
        }
        batch.AddRange(requests);
        return true;
    }
}
