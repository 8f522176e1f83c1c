namespace MArk.Serving.Benchmarks.Servers;

/// <summary>A request that waits in a bare server.</summary>
internal readonly struct PendingRequest(float[] input)
{
    private readonly TaskCompletionSource<InferenceResult<float[]>> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public float[] Input { get; } = input;

    public ValueTask<InferenceResult<float[]>> Answer => new(_done.Task);

    public void SetResult(float[] answer) => _done.SetResult(InferenceResult<float[]>.Success(answer));

    public void Refuse() => _done.SetResult(InferenceResult<float[]>.Cancellation());
}
