using MArk.Serving.DependencyInjection;

namespace MArk.Serving.OpenInference.Tests;

/// <summary>A model of named tensors that answers what it was asked, each input x as an output y_x.</summary>
internal sealed class EchoFactory(params TensorSpec[] inputs) : IBatchRunnerFactory<NamedTensors, NamedTensors>
{
    public ModelSignature? Signature { get; } = new([.. inputs], [.. inputs.Select(i => i with { Name = $"y_{i.Name}" })]);

    public ValueTask<IBatchRunner<NamedTensors, NamedTensors>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => new(new Runner());

    private sealed class Runner : IBatchRunner<NamedTensors, NamedTensors>
    {
        public ValueTask RunAsync(RequestBatch<NamedTensors> batch, IBatchSink<NamedTensors> sink, CancellationToken cancellationToken)
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var answer = new NamedTensors();
                foreach (var (name, value) in batch[i])
                {
                    answer.Add($"y_{name}", value);
                }
                sink.SetResult(i, answer);
            }
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

/// <summary>Models for tests.</summary>
internal static class TestModels
{
    /// <summary>The sum and the product of two numbers, as a batch function of arrays.</summary>
    public static readonly ModelSignature Pair = new([new TensorSpec("pair", TensorElementType.Float32, [2])], [new TensorSpec("both", TensorElementType.Float32, [2])]);

    public static MArkServingBuilder AddEcho(this MArkServingBuilder builder, string name, params TensorSpec[] inputs) =>
        builder.AddModel<NamedTensors, NamedTensors>(name, m => m.UseRunner(_ => new EchoFactory(inputs)).WithSlo(TimeSpan.FromSeconds(10)));

    public static MArkServingBuilder AddPair(this MArkServingBuilder builder, Action<ModelBuilder<float[], float[]>>? configure = null) => builder.AddModel<float[], float[]>("pair", m =>
    {
        m.UseBatchFunction((batch, sink, _) =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                sink.SetResult(i, [batch[i][0] + batch[i][1], batch[i][0] * batch[i][1]]);
            }
            return ValueTask.CompletedTask;
        }).WithSlo(TimeSpan.FromSeconds(10));
        configure?.Invoke(m);
    });

    public static void MapPair(OpenInferenceServerOptions options) => options.Map("pair", () => new ArrayEndpointCodec<float, float> { Signature = Pair });
}
