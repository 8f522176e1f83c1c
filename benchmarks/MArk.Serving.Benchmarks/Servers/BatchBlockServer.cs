using System.Diagnostics;
using System.Threading.Tasks.Dataflow;
using MArk.Serving.Benchmarks.Models;

namespace MArk.Serving.Benchmarks.Servers;

/// <summary>TPL Dataflow's <see cref="BatchBlock{T}"/> with a timer that sends a batch which does not fill within a window of its first request.</summary>
internal sealed class BatchBlockServer : IServer
{
    private readonly BatchBlock<PendingRequest> _batches;
    private readonly BatchLoop _loop;
    private readonly int _maxBatch;
    private readonly TimeSpan _window;
    private readonly Timer _timer;
    private readonly Lock _posting = new();
    private int _filling;       // requests of the batch that is not full yet
    private long _sendAt;       // when that is to leave, a timestamp of Stopwatch

    public BatchBlockServer(BenchmarkModel model, int instances, int maxBatch, TimeSpan window)
    {
        _batches = new(maxBatch);
        _maxBatch = maxBatch;
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
        lock (_posting)
        {
            _batches.Post(request);
            _filling = _filling + 1 == _maxBatch ? 0 : _filling + 1;
            if (_filling == 1)
            {
                _sendAt = Stopwatch.GetTimestamp() + (long)(_window.TotalSeconds * Stopwatch.Frequency);
                _timer.Change(_window, Timeout.InfiniteTimeSpan);
            }
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
        lock (_posting)
        {
            var early = _sendAt - Stopwatch.GetTimestamp();
            if (_filling > 0 && early > 0)
            {
                // That batch left full, and the next one has begun since.
                _timer.Change((long)Math.Ceiling(early * 1000.0 / Stopwatch.Frequency), Timeout.Infinite);
            }
            else if (_filling > 0)
            {
                _filling = 0;
                _batches.TriggerBatch();
            }
        }
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
