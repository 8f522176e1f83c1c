using MArk.Serving.Tensors;

namespace MArk.Serving.OnnxRuntime.Tests;

/// <summary>Opens the test models and keeps what a runner answers.</summary>
internal static class OnnxTestKit
{
    public static string Asset(string name) => Path.Combine(AppContext.BaseDirectory, "Assets", name);

    public static OnnxBatchRunnerFactory<NamedTensors, NamedTensors> Named(string model, Func<OnnxRunnerOptions, OnnxRunnerOptions>? with = null) =>
        new(Options(model, with), new NamedTensorsCodec());

    public static OnnxBatchRunnerFactory<TIn[], TOut[]> Arrays<TIn, TOut>(string model, Func<OnnxRunnerOptions, OnnxRunnerOptions>? with = null)
        where TIn : unmanaged, System.Numerics.INumberBase<TIn>
        where TOut : unmanaged => new(Options(model, with), new SingleTensorCodec<TIn, TOut>());

    private static OnnxRunnerOptions Options(string model, Func<OnnxRunnerOptions, OnnxRunnerOptions>? with)
    {
        var options = new OnnxRunnerOptions { Path = Asset(model) };
        return with is null ? options : with(options);
    }

    public static async Task<IBatchRunner<TIn, TOut>> ConnectAsync<TIn, TOut>(OnnxBatchRunnerFactory<TIn, TOut> factory) =>
        await factory.ConnectAsync(new InstanceDescriptor { Id = "i", LaunchId = "l", OfferingName = "o", Threads = 1 }, CancellationToken.None);

    public static async Task<Answers<TOut>> RunAsync<TIn, TOut>(OnnxBatchRunnerFactory<TIn, TOut> factory, params TIn[] inputs)
    {
        await using var runner = await ConnectAsync(factory);
        return await RunAsync(runner, inputs);
    }

    public static async Task<Answers<TOut>> RunAsync<TIn, TOut>(IBatchRunner<TIn, TOut> runner, params TIn[] inputs)
    {
        var answers = new Answers<TOut>(inputs.Length);
        await runner.RunAsync(new RequestBatch<TIn>(inputs), answers, CancellationToken.None);
        return answers;
    }

    /// <summary>The held-out digits: pixels scaled to 0..1, and their labels.</summary>
    public static (float[] Image, int Label)[] Digits() => [.. File.ReadLines(Asset("digits-heldout.csv")).Skip(1).Select(line =>
    {
        var numbers = line.Split(',').Select(int.Parse).ToArray();
        return (numbers[1..].Select(p => p / 16f).ToArray(), numbers[0]);
    })];
}

internal sealed class Answers<T>(int count) : IBatchSink<T>
{
    public T?[] Results { get; } = new T?[count];

    public Exception?[] Errors { get; } = new Exception?[count];

    public T?[]? Destinations { get; init; }

    public void SetResult(int index, T result) => Results[index] = result;

    public void SetError(int index, Exception error) => Errors[index] = error;

    public bool TryGetDestination(int index, out T destination)
    {
        destination = Destinations is null ? default! : Destinations[index]!;
        return Destinations is not null;
    }
}
