using MArk.Serving.Benchmarks.Models;

namespace MArk.Serving.Benchmarks.Raw;

/// <summary>Holds the threads that compute a model on the cores of its instances, all servers' and the bare loop's, and all others on the other cores; looks for new ones ten times a second.</summary>
internal sealed class InstanceCoresKeeper : IDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(100);

    private readonly ManualResetEventSlim _end = new();
    private readonly Thread _thread;

    public InstanceCoresKeeper(BenchmarkModel model, int instances)
    {
        string[] names = [$"{model.Name} on ", BareThreads];        // the first as the engine names those of its instances
        _thread = new Thread(() =>
        {
            var held = new Dictionary<string, int>();
            do
            {
                InstanceCores.Divide(instances, held, names);
            }
            while (!_end.Wait(Every));
        }) { IsBackground = true, Name = "cores of the instances" };
        _thread.Start();
    }

    /// <summary>What the names of all other threads that compute begin with.</summary>
    public const string BareThreads = "bare ";

    public void Dispose()
    {
        _end.Set();
        _thread.Join();
        InstanceCores.Free();
        _end.Dispose();
    }
}
