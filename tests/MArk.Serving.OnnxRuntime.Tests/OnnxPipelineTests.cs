using MArk.Serving.DependencyInjection;
using MArk.Serving.Tensors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.OnnxRuntime.Tests;

/// <summary>Issue 3, feature 9: a pipeline of sessions, where one batch runs while another's answers are handed out.</summary>
public sealed class OnnxPipelineTests
{
    private static OnnxRunnerOptions Depth(OnnxRunnerOptions options, int? depth) => options with { PipelineDepth = depth };

    [Fact]
    public async Task TheDepthIsOneOnTheProcessorUnlessSet()
    {
        await using var usual = await OnnxTestKit.ConnectAsync(OnnxTestKit.Named("add_two_inputs.onnx"));
        await using var deep = await OnnxTestKit.ConnectAsync(OnnxTestKit.Named("add_two_inputs.onnx", o => Depth(o, 3)));
        Assert.Equal((1, 3), (usual.Slots, deep.Slots));
        Assert.Equal(2, new OnnxRunnerOptions { Path = "x", ExecutionProvider = OnnxExecutionProvider.Cuda }.Slots);
    }

    [Theory]
    [InlineData(null, 3, 3)]
    [InlineData(null, 0, 1)]
    [InlineData(2, 3, 2)]
    public async Task TheThreadsAreTheInstancesUnlessSet(int? set, int granted, int threads)
    {
        var options = new OnnxRunnerOptions { Path = OnnxTestKit.Asset("add_two_inputs.onnx"), IntraOpThreads = set };
        var instance = new InstanceDescriptor { Id = "i", LaunchId = "l", OfferingName = "o", Threads = granted };
        Assert.Equal(threads, options.ThreadsOf(instance));
        await using var runner = await new OnnxBatchRunnerFactory<NamedTensors, NamedTensors>(options, new NamedTensorsCodec()).ConnectAsync(instance, CancellationToken.None);
        Assert.Equal(1, runner.Slots);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(65)]
    public async Task ADepthOutOfRangeIsNamed(int depth)
    {
        var error = await Assert.ThrowsAsync<ModelLoadException>(async () =>
            await OnnxTestKit.Named("add_two_inputs.onnx", o => Depth(o, depth)).InitializeAsync(CancellationToken.None));
        Assert.Contains($"PipelineDepth is {depth}; accepted are 1 to 64", error.Message);
    }

    [Theory]
    [InlineData("echo_float32.onnx")]
    [InlineData("masked_center.onnx")]
    [InlineData("dynamic_length.onnx")]
    public async Task BatchesThatRunAtOnceNeverMix(string model)
    {
        const int depth = 4;
        OnnxPadding center = new() { Inputs = [new("values", 1)], Buckets = [2, 8], Mask = "mask", Outputs = [new("centered", 1)] };
        var factory = OnnxTestKit.Named(model, o => o with { PipelineDepth = depth, Padding = model == "masked_center.onnx" ? [center] : [] });
        await using var runner = await OnnxTestKit.ConnectAsync(factory);
        void Work(int worker)
        {
            var random = new Random(worker);
            for (var run = 0; run < 150; run++)
            {
                var length = model == "echo_float32.onnx" ? 2 : random.Next(1, 9);
                var firsts = Enumerable.Range(0, random.Next(1, 17)).Select(_ => random.Next(1000)).ToArray();
                var answers = OnnxTestKit.RunAsync(runner, [.. firsts.Select(f => Request(model, f, length))]).GetAwaiter().GetResult();
                for (var i = 0; i < firsts.Length; i++)
                {
                    AssertIsAnswerTo(model, firsts[i], length, answers.Results[i]!);
                }
            }
        }
        await Task.WhenAll(Enumerable.Range(0, depth).Select(w => Task.Factory.StartNew(() => Work(w), TaskCreationOptions.LongRunning)));
    }

    [Fact]
    public async Task ABatchRunsWhileAnothersAnswersAreHandedOut()
    {
        await using var runner = await OnnxTestKit.ConnectAsync(OnnxTestKit.Arrays<float, float>("echo_float32.onnx", o => Depth(o, 2)));
        var inner = new Answers<float[]>(2);
        var outer = new Intruder(() => runner.RunAsync(new RequestBatch<float[]>(new float[][] { [7, 8], [9, 10] }), inner, CancellationToken.None).AsTask().GetAwaiter().GetResult());
        await runner.RunAsync(new RequestBatch<float[]>(new float[][] { [1, 2], [3, 4] }), outer, CancellationToken.None);
        Assert.Equal([[1f, 2], [3, 4]], outer.Answers.Results!);
        Assert.Equal([[7f, 8], [9, 10]], inner.Results!);
    }

    [Fact]
    public async Task MoreBatchesThanThereIsMemoryForAreRefusedAndHarmNone()
    {
        await using var runner = await OnnxTestKit.ConnectAsync(OnnxTestKit.Arrays<float, float>("echo_float32.onnx"));
        InvalidOperationException? error = null;
        var innermost = new Intruder(() => error = Assert.Throws<InvalidOperationException>(() => { OnnxTestKit.RunAsync(runner, [7f, 8]).GetAwaiter().GetResult(); }));
        var inner = new Intruder(() => runner.RunAsync(new RequestBatch<float[]>(new float[][] { [5, 6], [7, 8] }), innermost, CancellationToken.None).AsTask().GetAwaiter().GetResult());
        await runner.RunAsync(new RequestBatch<float[]>(new float[][] { [1, 2], [3, 4] }), inner, CancellationToken.None);
        Assert.Contains("More batches at once than the 1 that may be under way (PipelineDepth) and one whose answers are read", error!.Message);
        Assert.Equal([[1f, 2], [3, 4]], inner.Answers.Results!);
        Assert.Equal([[5f, 6], [7, 8]], innermost.Answers.Results!);
        Assert.Equal([[7f, 8]], (await OnnxTestKit.RunAsync(runner, [7f, 8])).Results!);
    }

    [Fact]
    public async Task OutputsThatAreLeftStandWhileTheNextBatchRunsAndWhenTheRunnerIsGone()
    {
        var runner = (IDeferringBatchRunner<float[], float[]>)await OnnxTestKit.ConnectAsync(OnnxTestKit.Arrays<float, float>("echo_float32.onnx"));
        Assert.True(runner.CanDefer);
        for (var i = 0; i < 3; i++)
        {
            var first = runner.Run(new RequestBatch<float[]>(new float[][] { [1, i], [3, 4] }), CancellationToken.None);
            var second = runner.Run(new RequestBatch<float[]>(new float[][] { [5, i] }), CancellationToken.None);
            if (i == 2)
            {
                await runner.DisposeAsync();
            }
            Assert.Equal([[5f, i]], Read(second, 1));
            Assert.Equal([[1f, i], [3, 4]], Read(first, 2));
        }

        static float[]?[] Read(IBatchOutputs<float[]> outputs, int count)
        {
            var answers = new Answers<float[]>(count);
            outputs.Answer(answers);
            return answers.Results;
        }
    }

    [Fact]
    public async Task OutputsInMemoryOfOnnxRuntimeAreNotLeft()
    {
        await using var runner = await OnnxTestKit.ConnectAsync(OnnxTestKit.Named("dynamic_length.onnx"));
        Assert.False(Assert.IsAssignableFrom<IDeferringBatchRunner<NamedTensors, NamedTensors>>(runner).CanDefer);
    }

    [Fact]
    public async Task ASlotIsFreeAgainAfterARunThatFailed()
    {
        await using var runner = await OnnxTestKit.ConnectAsync(OnnxTestKit.Arrays<long, float>("fails_on_negative.onnx"));
        for (var i = 0; i < 3; i++)
        {
            await Assert.ThrowsAsync<Microsoft.ML.OnnxRuntime.OnnxRuntimeException>(() => OnnxTestKit.RunAsync(runner, [-1L]));
            Assert.Equal([[20f]], (await OnnxTestKit.RunAsync(runner, [1L])).Results!);
        }
    }

    [Fact]
    public async Task ADeepPipelineIsRightThroughTheServedPath()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>("digits", m => m
            .UseOnnx(new OnnxRunnerOptions { Path = OnnxTestKit.Asset("echo_float32.onnx"), PipelineDepth = 3 }, new SingleTensorCodec<float, float>())
            .WithSlo(TimeSpan.FromMinutes(1)));
        using var host = builder.Build();
        await host.StartAsync();
        var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("digits");
        await Task.WhenAll(Enumerable.Range(0, 2000).Select(async i => Assert.Equal([i, -i], await client.InferAsync([i, -i]))));
        await host.StopAsync();
    }

    private static NamedTensors Request(string model, int first, int length) => model switch
    {
        "dynamic_length.onnx" => new() { ["tokens"] = TensorValue.Create(TensorElementType.Int64, [.. Enumerable.Range(first, length).Select(v => (long)v)]) },
        _ => new()
        {
            [model == "echo_float32.onnx" ? "x" : "values"] = TensorValue.Create(TensorElementType.Float32, [.. Enumerable.Range(first, length).Select(v => (float)v * v)]),
        },
    };

    private static void AssertIsAnswerTo(string model, int first, int length, NamedTensors answer)
    {
        var sent = Enumerable.Range(first, length);
        switch (model)
        {
            case "dynamic_length.onnx":
                Assert.Equal(sent.Select(v => 2L * v), answer["doubled"].As<long>().ToArray());
                Assert.Equal([(long)sent.Sum()], answer["total"].As<long>().ToArray());
                break;
            case "echo_float32.onnx":
                Assert.Equal(sent.Select(v => (float)v * v), answer["y"].As<float>().ToArray());
                break;
            default:
                var mean = sent.Average(v => (double)v * v);
                Assert.Equal(length, answer["centered"].Length);
                Assert.All(sent.Zip(answer["centered"].As<float>().ToArray()), p => Assert.Equal((double)p.First * p.First - mean, p.Second, 1.0));
                break;
        }
    }

    /// <summary>Does something in the middle of another batch's answers.</summary>
    private sealed class Intruder(Action intrude) : IBatchSink<float[]>
    {
        public Answers<float[]> Answers { get; } = new(2);

        public void SetResult(int index, float[] result)
        {
            if (index == 0)
            {
                intrude();
            }
            Answers.SetResult(index, result);
        }

        public void SetError(int index, Exception error) => Answers.SetError(index, error);

        public bool TryGetDestination(int index, out float[] destination) => Answers.TryGetDestination(index, out destination);
    }
}
