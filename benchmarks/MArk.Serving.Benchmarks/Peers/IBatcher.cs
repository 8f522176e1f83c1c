namespace MArk.Serving.Benchmarks.Peers;

/// <summary>Something that answers single requests by running batches of a model that does nothing: an answer is its input.</summary>
internal interface IBatcher : IAsyncDisposable
{
    string Name { get; }

    ValueTask<int> InferAsync(int input);
}
