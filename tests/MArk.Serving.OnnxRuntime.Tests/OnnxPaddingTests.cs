using System.Collections.Immutable;
using CsCheck;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Tensors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.OnnxRuntime.Tests;

/// <summary>Issue 3, feature 4: inputs of unlike lengths share a batch, padded, and each answer is as without.</summary>
public sealed class OnnxPaddingTests
{
    private static readonly OnnxPadding Mean = new() { Inputs = [new("values", "length")], Buckets = [4, 8], Mask = "mask" };
    private static readonly OnnxPadding Center = new() { Inputs = [new("values", 1)], Buckets = [4, 8], Mask = "mask", Outputs = [new("centered", 1)] };
    private static readonly Gen<float[]> Values = Gen.Float[-100, 100].Array[1, 8];

    private static OnnxBatchRunnerFactory<float[], float[]> Arrays(string model, params ImmutableArray<OnnxPadding> padding) =>
        OnnxTestKit.Arrays<float, float>(model, o => o with { Padding = padding });

    private static int Bucket(float[] values) => values.Length <= 4 ? 4 : 8;

    private static float[] Centered(float[] values) => [.. values.Select(v => v - values.Average())];

    private static void AssertNear(float[] expected, float[]? answer)
    {
        Assert.Equal(expected.Length, answer!.Length);
        Assert.All(expected.Zip(answer), p => Assert.Equal(p.First, p.Second, 1e-3f));
    }

    [Fact]
    public async Task APaddedBatchAnswersAsEachRequestAloneUnpadded()
    {
        await using var padded = await OnnxTestKit.ConnectAsync(Arrays("masked_mean.onnx", Mean));
        await using var unpadded = await OnnxTestKit.ConnectAsync(OnnxTestKit.Named("masked_mean.onnx"));
        float[] Alone(float[] values) => OnnxTestKit.RunAsync(unpadded, new NamedTensors
        {
            ["values"] = TensorValue.Create(TensorElementType.Float32, values),
            ["mask"] = TensorValue.Create(TensorElementType.Bool, Enumerable.Repeat(true, values.Length).ToArray()),
        }).GetAwaiter().GetResult().Results[0]!["mean"].As<float>().ToArray();

        Values.Array[1, 9].Sample(requests =>
        {
            foreach (var batch in requests.GroupBy(Bucket).Select(g => g.ToArray()))
            {
                var answers = OnnxTestKit.RunAsync(padded, batch).GetAwaiter().GetResult();
                for (var i = 0; i < batch.Length; i++)
                {
                    AssertNear(Alone(batch[i]), answers.Results[i]);
                    AssertNear([batch[i].Average()], answers.Results[i]);
                }
            }
        }, iter: 200, threads: 1);
    }

    [Fact]
    public async Task OutputsComeBackWithTheirOwnLength()
    {
        await using var runner = await OnnxTestKit.ConnectAsync(Arrays("masked_center.onnx", Center));
        Values.Array[1, 9].Sample(requests =>
        {
            foreach (var batch in requests.GroupBy(Bucket).Select(g => g.ToArray()))
            {
                var answers = OnnxTestKit.RunAsync(runner, batch).GetAwaiter().GetResult();
                Assert.All(batch.Zip(answers.Results), p => AssertNear(Centered(p.First), p.Second));
            }
        }, iter: 200, threads: 1);
    }

    [Fact]
    public async Task AnAnswerGoesIntoTheCallersMemoryWithoutItsPadding()
    {
        await using var runner = await OnnxTestKit.ConnectAsync(Arrays("masked_center.onnx", Center));
        var sink = new Answers<float[]>(2) { Destinations = [[9, 9, 9], [9, 9, 9]] };
        await runner.RunAsync(new RequestBatch<float[]>(new float[][] { [1, 3], [5, 6, 7] }), sink, CancellationToken.None);
        Assert.Equal([[-1f, 1, 9], [-1f, 0, 1]], sink.Results!);
    }

    [Fact]
    public async Task SeveralInputsOfOneLengthArePaddedWhereverTheirDimensionIs()
    {
        await using var runner = await OnnxTestKit.ConnectAsync(OnnxTestKit.Named("masked_channels.onnx", o => o with { Padding = [Channels(new("centered", "length"), new("shifted", 1))] }));
        Gen.Int[0, 4].Array[1, 6].Sample(lengths =>
        {
            var answers = OnnxTestKit.RunAsync(runner, [.. lengths.Select(Item)]).GetAwaiter().GetResult();
            foreach (var (answer, length) in answers.Results.Zip(lengths))
            {
                var (features, tokens) = (Item(length)["features"].As<float>().ToArray(), Item(length)["tokens"].As<long>().ToArray());
                Assert.Equal([2, length], answer!["centered"].Shape);
                Assert.Equal([length], answer["shifted"].Shape);
                AssertNear([.. features.Chunk(Math.Max(length, 1)).SelectMany(Centered)], answer["centered"].As<float>().ToArray());
                Assert.Equal(tokens.Select(t => t + 1), answer["shifted"].As<long>().ToArray());
            }
        }, iter: 200, threads: 1);
    }

    [Fact]
    public async Task AnOutputThatIsNotNamedKeepsItsPaddingAndShowsThePadValue()
    {
        var factory = OnnxTestKit.Named("masked_channels.onnx", o => o with { Padding = [Channels(new OnnxDimension("centered", "length"))] });
        var answers = await OnnxTestKit.RunAsync(factory, Item(3), Item(1));
        Assert.Equal([1L, 2, 3, 78], answers.Results[0]!["shifted"].As<long>().ToArray());
        Assert.Equal([1L, 78, 78, 78], answers.Results[1]!["shifted"].As<long>().ToArray());
        AssertNear([-1, 0, 1, -1, 0, 1], answers.Results[0]!["centered"].As<float>().ToArray());
    }

    [Fact]
    public async Task TwoDimensionsArePaddedEachToItsBuckets()
    {
        OnnxPadding Side(string name, params ImmutableArray<int> buckets) => new()
        {
            Inputs = [new("image", name)],
            Buckets = buckets,
            PadValues = new Dictionary<string, double> { ["image"] = double.NegativeInfinity },
            Outputs = [new("copy", name)],
        };
        NamedTensors Image(int height, int width) => new()
        {
            ["image"] = TensorValue.Create(TensorElementType.Float32, [.. Enumerable.Range(1, height * width).Select(i => -(float)i)], height, width),
        };
        var factory = OnnxTestKit.Named("image_max.onnx", o => o with { Padding = [Side("height", 2, 3), Side("width", 3, 5)] });
        await using var runner = await OnnxTestKit.ConnectAsync(factory);
        Assert.Equal(factory.Admit(Image(1, 2)).ShapeKey, factory.Admit(Image(2, 3)).ShapeKey);
        Assert.Equal(4, new[] { Image(2, 3), Image(2, 5), Image(3, 3), Image(3, 5) }.Select(i => factory.Admit(i).ShapeKey).Distinct().Count());
        foreach (var batch in new[] { new[] { Image(1, 2), Image(2, 3), Image(2, 1) }, [Image(3, 4), Image(3, 5)], [Image(1, 1)], [Image(3, 1)] })
        {
            var answers = await OnnxTestKit.RunAsync(runner, batch);
            foreach (var (image, answer) in batch.Zip(answers.Results))
            {
                Assert.Equal([-1f], answer!["max"].As<float>().ToArray());
                Assert.Equal(image["image"].Shape, answer["copy"].Shape);
                Assert.Equal(image["image"].As<float>().ToArray(), answer["copy"].As<float>().ToArray());
            }
        }
    }

    [Fact]
    public async Task StringsArePaddedAndCut()
    {
        NamedTensors Words(params string[] words) => new() { ["x"] = TensorValue.Create(TensorElementType.String, words) };
        OnnxPadding padding = new() { Inputs = [new("x", "length")], Buckets = [3] };
        var kept = await OnnxTestKit.RunAsync(OnnxTestKit.Named("echo_words.onnx", o => o with { Padding = [padding] }), Words("a", "b"), Words("c", "d", "e"));
        Assert.Equal(["a", "b", ""], kept.Results[0]!["y"].As<string>().ToArray());
        padding = new() { Inputs = padding.Inputs, Buckets = padding.Buckets, Outputs = [new("y", "length")] };
        var cut = await OnnxTestKit.RunAsync(OnnxTestKit.Named("echo_words.onnx", o => o with { Padding = [padding] }), Words("a", "b"), Words("c", "d", "e"));
        Assert.Equal(["a", "b"], cut.Results[0]!["y"].As<string>().ToArray());
        Assert.Equal(["c", "d", "e"], cut.Results[1]!["y"].As<string>().ToArray());
    }

    [Fact]
    public async Task ARequestOfLengthNothingIsAllPadding()
    {
        var arrays = Arrays("masked_center.onnx", Center);
        await using var runner = await OnnxTestKit.ConnectAsync(arrays);
        Assert.Equal(arrays.Admit([]).ShapeKey, arrays.Admit([1]).ShapeKey);
        Assert.Equal([[], [0f]], (await OnnxTestKit.RunAsync(runner, [], [5f])).Results!);
        var named = OnnxTestKit.Named("masked_channels.onnx", o => o with { Padding = [Channels()] });
        await named.InitializeAsync(CancellationToken.None);
        Assert.Equal(named.Admit(Item(0)).ShapeKey, named.Admit(Item(1)).ShapeKey);
    }

    [Fact]
    public async Task OnlyRequestsOfOneBucketShareABatch()
    {
        var factory = Arrays("masked_mean.onnx", Mean);
        await using var runner = await OnnxTestKit.ConnectAsync(factory);
        Assert.Single(new[] { 0, 1, 4 }.Select(n => factory.Admit(new float[n]).ShapeKey).Distinct());
        Assert.Single(new[] { 5, 8 }.Select(n => factory.Admit(new float[n]).ShapeKey).Distinct());
        Assert.NotEqual(factory.Admit(new float[4]).ShapeKey, factory.Admit(new float[5]).ShapeKey);
        Assert.Contains("share no batch", (await Assert.ThrowsAsync<InvalidOperationException>(() => OnnxTestKit.RunAsync(runner, new float[4], new float[5]))).Message);
        Assert.Contains("share no batch", (await Assert.ThrowsAsync<InvalidOperationException>(() => OnnxTestKit.RunAsync(runner, new float[5], new float[4]))).Message);
    }

    [Fact]
    public async Task ALengthBeyondTheLargestBucketIsNamed()
    {
        var factory = Arrays("masked_mean.onnx", Mean);
        await factory.InitializeAsync(CancellationToken.None);
        var error = Assert.Throws<InvalidInputException>(() => factory.Admit(new float[9]));
        Assert.Equal("values", error.InputName);
        Assert.Contains("its dimension 'length' is 9 long; accepted are lengths of at most 8", error.Message);
        var unnamed = Arrays("masked_center.onnx", Center);
        await unnamed.InitializeAsync(CancellationToken.None);
        Assert.Contains("its dimension 1 is 9 long", Assert.Throws<InvalidInputException>(() => unnamed.Admit(new float[9])).Message);
    }

    [Fact]
    public async Task InputsOfOneLengthMustAgree()
    {
        var factory = OnnxTestKit.Named("masked_channels.onnx", o => o with { Padding = [Channels()] });
        await factory.InitializeAsync(CancellationToken.None);
        var item = Item(3);
        item["tokens"] = TensorValue.Create(TensorElementType.Int64, new long[2]);
        var error = Assert.Throws<InvalidInputException>(() => factory.Admit(item));
        Assert.Equal("tokens", error.InputName);
        Assert.Contains("is 2 long, and an input it is padded with 3", error.Message);
    }

    [Fact]
    public async Task TheMaskIsNotAskedOfTheCallerAndRefusedFromHim()
    {
        var factory = OnnxTestKit.Named("masked_channels.onnx", o => o with { Padding = [Channels()] });
        await factory.InitializeAsync(CancellationToken.None);
        Assert.Equal(["features", "tokens"], factory.Signature.Inputs.Select(i => i.Name));
        var item = Item(2);
        item["mask"] = TensorValue.Create(TensorElementType.Float32, new float[2], 1, 2);
        Assert.Equal("mask", Assert.Throws<InvalidInputException>(() => factory.Admit(item)).InputName);
    }

    [Fact]
    public async Task AnOutputOfAnotherLengthIsNotCutIntoAWrongAnswer()
    {
        OnnxRunnerOptions Cut(OnnxRunnerOptions o) => o with { Padding = [new() { Inputs = [new("x", "length")], Buckets = [3], Outputs = [new("y", "twice")] }] };
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => OnnxTestKit.RunAsync(
            OnnxTestKit.Named("twice_as_long_string.onnx", Cut), new NamedTensors { ["x"] = TensorValue.Create(TensorElementType.String, new[] { "a" }) }));
        Assert.Contains("Output 'y' came as [batch,6] for a padded length of 3", error.Message);
        // Where it was bound to memory of the declared shape, ONNX Runtime says so.
        await Assert.ThrowsAsync<Microsoft.ML.OnnxRuntime.OnnxRuntimeException>(() => OnnxTestKit.RunAsync(OnnxTestKit.Arrays<float, float>("twice_as_long_float32.onnx", Cut), [1f]));
    }

    [Fact]
    public async Task AKnownBucketRunsInPlaceWithoutAllocating()
    {
        await using var runner = await OnnxTestKit.ConnectAsync(Arrays("masked_center.onnx", Center));
        float[][] small = [[1, 2, 3], [4, 5]], large = [[1, 2, 3, 4, 5, 6], [4, 5, 6, 7, 8]];
        var (toSmall, toLarge) = (Destinations(small), Destinations(large));
        void Run()
        {
            runner.RunAsync(new RequestBatch<float[]>(small), toSmall, CancellationToken.None).GetAwaiter().GetResult();
            runner.RunAsync(new RequestBatch<float[]>(large), toLarge, CancellationToken.None).GetAwaiter().GetResult();
        }
        Assert.Equal(0, Allocations.Of(Run));
        AssertNear(Centered(large[0]), toLarge.Results[0]);

        static Answers<float[]> Destinations(float[][] batch) => new(batch.Length) { Destinations = [.. batch.Select(b => new float[b.Length])] };
    }

    [Fact]
    public async Task RequestsOfManyLengthsAreServedTogether()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>("center", m => m
            .UseOnnx(new OnnxRunnerOptions { Path = OnnxTestKit.Asset("masked_center.onnx"), Padding = [Center] }, new SingleTensorCodec<float, float>())
            .WithSlo(TimeSpan.FromMinutes(1)));
        using var host = builder.Build();
        await host.StartAsync();
        var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("center");
        await Task.WhenAll(Enumerable.Range(0, 500).Select(async i =>
        {
            var values = Enumerable.Range(i, 1 + i % 8).Select(v => (float)v * v % 17).ToArray();
            AssertNear(Centered(values), await client.InferAsync(values));
        }));
        var wrong = await client.TryInferAsync(new float[9]);
        Assert.Equal(InferenceStatus.Invalid, wrong.Status);
        await host.StopAsync();
    }

    private static OnnxPadding Channels(params ImmutableArray<OnnxDimension> outputs) => new()
    {
        Inputs = [new("features", "length"), new("tokens", "length")],
        Buckets = [4],
        PadValues = new Dictionary<string, double> { ["tokens"] = 77 },
        Mask = "mask",
        Outputs = outputs,
    };

    private static NamedTensors Item(int length) => new()
    {
        ["features"] = TensorValue.Create(TensorElementType.Float32, [.. Enumerable.Range(0, 2 * length).Select(i => (float)i)], 2, length),
        ["tokens"] = TensorValue.Create(TensorElementType.Int64, [.. Enumerable.Range(0, length).Select(i => (long)i)], length),
    };
}
