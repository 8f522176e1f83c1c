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

    private sealed class Served<TIn, TOut>(IHost host) : IDisposable
    {
        public IModelClient<TIn, TOut> Client => host.Services.GetRequiredKeyedService<IModelClient<TIn, TOut>>("m");

        public IModelReloader<TIn, TOut> Reloader => host.Services.GetRequiredKeyedService<IModelReloader<TIn, TOut>>("m");

        public void Dispose() => host.Dispose();
    }
}
