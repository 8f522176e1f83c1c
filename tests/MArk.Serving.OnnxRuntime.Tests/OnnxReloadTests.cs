using MArk.Serving.DependencyInjection;
using MArk.Serving.Tensors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.OnnxRuntime.Tests;

/// <summary>Another file in the place of the one that serves.</summary>
public sealed class OnnxReloadTests
{
    private static OnnxRunnerOptions File(string model) => new() { Path = OnnxTestKit.Asset(model) };

    private static async Task<Served<TIn, TOut>> StartAsync<TIn, TOut>(OnnxRunnerOptions options, ITensorCodec<TIn, TOut> codec)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<TIn, TOut>("m", m => m.UseOnnx(options, codec).WithSlo(TimeSpan.FromMinutes(1)));
        var host = builder.Build();
        await host.StartAsync();
        return new Served<TIn, TOut>(host);
    }

    [Fact]
    public async Task ACodecOfTheVersionThatServesIsNotGivenToAnother()
    {
        var codec = new SingleTensorCodec<float, float>();
        using var model = await StartAsync(File("digits.onnx"), codec);
        var image = OnnxTestKit.Digits()[0].Image;
        var before = await model.Client.InferAsync(image);
        var error = await Assert.ThrowsAsync<ModelReloadException>(() => model.Reloader.ReloadOnnxAsync(File("echo_float32.onnx"), codec));
        Assert.Contains("'m' was not reloaded", error.Message);
        Assert.Contains("The codec is bound to a model of inputs image: Float32[batch,64]", error.Message);
        Assert.Contains("make a new one", error.Message);
        Assert.Equal(before, await model.Client.InferAsync(image));
        // With a codec of its own it is the inputs that do not fit.
        error = await Assert.ThrowsAsync<ModelReloadException>(() => model.Reloader.ReloadOnnxAsync(File("echo_float32.onnx"), new SingleTensorCodec<float, float>()));
        Assert.Contains("it has 64 values", error.Message);
    }

    [Fact]
    public async Task TheSameTensorsMayKeepTheirCodec()
    {
        var codec = new SingleTensorCodec<float, float>();
        using var model = await StartAsync(File("digits.onnx"), codec);
        await model.Reloader.ReloadOnnxAsync(File("digits.onnx"), codec);
        Assert.Equal(10, (await model.Client.InferAsync(new float[64])).Length);
    }

    [Fact]
    public async Task TwoModelsDoNotShareACodec()
    {
        var codec = new SingleTensorCodec<float, float>();
        var first = new OnnxBatchRunnerFactory<float[], float[]>(File("digits.onnx"), codec);
        await first.InitializeAsync(CancellationToken.None);
        var second = new OnnxBatchRunnerFactory<float[], float[]>(File("echo_float32.onnx"), codec);
        Assert.Contains("belongs to one model", (await Assert.ThrowsAsync<ServingException>(async () => await second.InitializeAsync(CancellationToken.None))).Message);
        first.Admit(new float[64]);
    }

    [Fact]
    public async Task AFileGivenByItsPathAloneIsRunWithTheOptionsOfTheOneThatServes()
    {
        OnnxPadding padding = new() { Inputs = [new("tokens", "length")], Buckets = [4, 8], Outputs = [new("doubled", "length")] };
        using var model = await StartAsync(File("dynamic_length.onnx") with { Padding = [padding] }, new NamedTensorsCodec());
        // From one to the next, too.
        for (var reload = 0; reload < 3; reload++)
        {
            await model.Reloader.ReloadOnnxAsync(OnnxTestKit.Asset("dynamic_length.onnx"));
            var answer = await model.Client.InferAsync(Tokens(1, 2, 3));
            Assert.Equal([2L, 4, 6], answer["doubled"].As<long>().ToArray());
            Assert.Contains("of at most 8", (await Assert.ThrowsAsync<InvalidInputException>(async () => await model.Client.InferAsync(Tokens(new long[9])))).Message);
        }

        static NamedTensors Tokens(params long[] tokens) => new() { ["tokens"] = TensorValue.Create(TensorElementType.Int64, tokens) };
    }

    [Fact]
    public async Task EveryOptionButThePathIsKept()
    {
        var options = File("digits.onnx") with { IntraOpThreads = 2, PipelineDepth = 3, WeightOf = [new("image", 1)], Padding = [], ExecutionProvider = OnnxExecutionProvider.Cuda, DeviceId = 1 };
        var reloader = new Reloader<float[], float[]>(new OnnxBatchRunnerFactory<float[], float[]>(options, new SingleTensorCodec<float, float>()));
        await reloader.ReloadOnnxAsync("other.onnx");
        Assert.Equal(options with { Path = "other.onnx" }, Assert.IsType<OnnxBatchRunnerFactory<float[], float[]>>(reloader.Serving).Options);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task WhatACodecLetsThroughIsKept(bool allowNonFinite)
    {
        var arrays = new Reloader<float[], float[]>(new OnnxBatchRunnerFactory<float[], float[]>(File("digits.onnx"), new SingleTensorCodec<float, float> { AllowNonFinite = allowNonFinite }));
        await arrays.ReloadOnnxAsync(OnnxTestKit.Asset("digits.onnx"));
        await Admits(arrays.Serving, [float.NaN, .. new float[63]]);
        var named = new Reloader<NamedTensors, NamedTensors>(new OnnxBatchRunnerFactory<NamedTensors, NamedTensors>(File("echo_float32.onnx"), new NamedTensorsCodec { AllowNonFinite = allowNonFinite }));
        await named.ReloadOnnxAsync(OnnxTestKit.Asset("echo_float32.onnx"));
        await Admits(named.Serving, new() { ["x"] = TensorValue.Create(TensorElementType.Float32, new[] { float.NaN, 0 }) });

        async Task Admits<TIn, TOut>(IBatchRunnerFactory<TIn, TOut> serving, TIn input)
        {
            await serving.InitializeAsync(CancellationToken.None);
            Assert.Equal(allowNonFinite, Record.Exception(() => serving.Admit(input)) is null);
        }
    }

    [Fact]
    public async Task WhereThereAreNoSuchOptionsOrTheCodecIsTheHostsOwnOptionsMustBeGiven()
    {
        using var model = await StartAsync(File("digits.onnx"), new OwnCodec());
        var error = await Assert.ThrowsAsync<ModelReloadException>(() => model.Reloader.ReloadOnnxAsync(OnnxTestKit.Asset("digits.onnx")));
        Assert.Contains("its codec is a OwnCodec, and a new one like it cannot be made here. Reload with options and a codec.", error.Message);
        Assert.Equal(10, (await model.Client.InferAsync(new float[64])).Length);
        await model.Reloader.ReloadOnnxAsync(File("digits.onnx"), new OwnCodec());
        var other = new Reloader<float[], float[]>(new Other());
        Assert.Contains("it is a Other, and has no ONNX options", (await Assert.ThrowsAsync<ServingException>(() => other.ReloadOnnxAsync("other.onnx"))).Message);
    }

    private sealed class Reloader<TIn, TOut>(IBatchRunnerFactory<TIn, TOut> serving) : IModelReloader<TIn, TOut>
    {
        public IBatchRunnerFactory<TIn, TOut> Serving { get; private set; } = serving;

        public Task ReloadAsync(IBatchRunnerFactory<TIn, TOut> next, CancellationToken cancellationToken = default) => ReloadAsync(_ => next, cancellationToken);

        public async Task ReloadAsync(Func<IBatchRunnerFactory<TIn, TOut>, IBatchRunnerFactory<TIn, TOut>> next, CancellationToken cancellationToken = default)
        {
            await Task.Yield();
            Serving = next(Serving);
        }
    }

    private sealed class Other : IBatchRunnerFactory<float[], float[]>
    {
        public ValueTask<IBatchRunner<float[], float[]>> ConnectAsync(InstanceDescriptor instance, CancellationToken cancellationToken) => throw new NotSupportedException();
    }

    /// <summary>A codec of the host's own.</summary>
    private sealed class OwnCodec : ITensorCodec<float[], float[]>
    {
        private readonly SingleTensorCodec<float, float> _inner = new();

        public void Bind(ModelSignature signature) => _inner.Bind(signature);

        public void Validate(float[] input) => _inner.Validate(input);

        public void GetItemShape(float[] input, int inputIndex, Span<long> itemShape) => _inner.GetItemShape(input, inputIndex, itemShape);

        public void Write(float[] input, ITensorItems inputs) => _inner.Write(input, inputs);

        public float[] Read(ITensorItems outputs, bool hasDestination, float[]? destination) => _inner.Read(outputs, hasDestination, destination);
    }

    private sealed class Served<TIn, TOut>(IHost host) : IDisposable
    {
        public IModelClient<TIn, TOut> Client => host.Services.GetRequiredKeyedService<IModelClient<TIn, TOut>>("m");

        public IModelReloader<TIn, TOut> Reloader => host.Services.GetRequiredKeyedService<IModelReloader<TIn, TOut>>("m");

        public void Dispose() => host.Dispose();
    }
}
