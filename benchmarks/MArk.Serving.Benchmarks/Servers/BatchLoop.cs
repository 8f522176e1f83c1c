using MArk.Serving.Benchmarks.Models;
using MArk.Serving.Benchmarks.Raw;

namespace MArk.Serving.Benchmarks.Servers;

/// <summary>What all bare batchers have in common: threads of their own, each with a session, that run whatever batch they are given.</summary>
internal sealed class BatchLoop
{
    private readonly BenchmarkModel _model;
    private readonly int _maxBatch;
    private readonly Func<List<PendingRequest>, bool> _take;
    private readonly Thread[] _threads;
    private volatile bool _refuses;

    /// <param name="model">The model.</param>
    /// <param name="instances">How many threads.</param>
    /// <param name="maxBatch">The largest batch.</param>
    /// <param name="take">Waits for a batch and fills the list with it; answers false when there will be no more.</param>
    public BatchLoop(BenchmarkModel model, int instances, int maxBatch, Func<List<PendingRequest>, bool> take)
    {
        (_model, _maxBatch, _take) = (model, maxBatch, take);
        _threads = [.. Enumerable.Range(0, instances).Select(_ => new Thread(Run) { IsBackground = true, Name = InstanceCoresKeeper.BareThreads + "batcher" })];
        foreach (var thread in _threads)
        {
            thread.Start();
        }
    }

    public bool RefusesWaiting
    {
        get => _refuses;
        set => _refuses = value;
    }

    public void Join()
    {
        foreach (var thread in _threads)
        {
            thread.Join();
        }
    }

    private void Run()
    {
        using var session = new RawSession(_model, _maxBatch);
        session.WarmUp();
        var batch = new List<PendingRequest>(_maxBatch);
        while (_take(batch))
        {
            if (_refuses)
            {
                batch.ForEach(request => request.Refuse());
            }
            else
            {
                Run(session, batch);
            }
            batch.Clear();
        }
    }

    private static void Run(RawSession session, List<PendingRequest> batch)
    {
        for (var row = 0; row < batch.Count; row++)
        {
            session.Gather(row, batch[row].Input);
        }
        session.Run(batch.Count);
        for (var row = 0; row < batch.Count; row++)
        {
            batch[row].SetResult(session.Scatter(row));
        }
    }
}
