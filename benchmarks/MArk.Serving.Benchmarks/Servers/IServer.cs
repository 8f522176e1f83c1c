namespace MArk.Serving.Benchmarks.Servers;

/// <summary>Something that answers single requests for a model: the engine, or a peer of it.</summary>
internal interface IServer : IAsyncDisposable
{
    string Name { get; }

    /// <summary>
    /// Whether a bare server refuses what waits instead of running it: set between two measurements, so that the second starts from an empty
    /// queue. The engine works its queue off.
    /// </summary>
    bool RefusesWaiting { get; set; }

    ValueTask<InferenceResult<float[]>> TryInferAsync(float[] input);
}
