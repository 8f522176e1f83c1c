namespace MArk.Serving.Benchmarks.Servers;

/// <summary>Answers nothing and costs nothing: what is left is the generator.</summary>
internal sealed class DroppingServer : IServer
{
    public string Name => "nothing";

    public bool RefusesWaiting { get; set; }

    public ValueTask<InferenceResult<float[]>> TryInferAsync(float[] input) => new(InferenceResult<float[]>.Cancellation());

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
