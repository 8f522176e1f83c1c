using CsCheck;
using MArk.Serving.DependencyInjection;
using MArk.Serving.Tensors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MArk.Serving.OnnxRuntime.Tests;

public sealed class OnnxBatchRunnerTests
{
    [Fact]
    public async Task TheDigitsModelIsRightThroughTheServedPath()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<float[], float[]>("digits", m => m
            .UseOnnx(OnnxTestKit.Asset("digits.onnx")).WithSlo(TimeSpan.FromMinutes(1)));
        using var host = builder.Build();
        await host.StartAsync();
        var client = host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("digits");
        var digits = OnnxTestKit.Digits();
        var right = await Task.WhenAll(digits.Select(async d =>
        {
            var logits = new float[10];
            Assert.Same(logits, await client.InferIntoAsync(d.Image, logits));
            return Array.IndexOf(logits, logits.Max()) == d.Label;
        }));
        var wrong = await client.TryInferAsync(new float[63]);
        Assert.Equal(InferenceStatus.Invalid, wrong.Status);
        Assert.Contains("63 values; the model declares image: Float32[batch,64]: 64 values", wrong.Error!.Message);
        var small = await client.TryInferIntoAsync(digits[0].Image, new float[9]);
        Assert.Equal(InferenceStatus.Invalid, small.Status);
        Assert.Contains("the destination holds 9 values; the model declares", small.Error!.Message);
        await host.StopAsync();
        Assert.True(right.Count(r => r) >= 0.97 * digits.Length, $"{right.Count(r => r)} of {digits.Length}");
    }

    [Fact]
    public async Task AnAnswerDoesNotDependOnItsBatch()
    {
        var digits = OnnxTestKit.Digits();
        await using var runner = await OnnxTestKit.ConnectAsync(OnnxTestKit.Arrays<float, float>("digits.onnx"));
        var alone = new float[digits.Length][];
        for (var i = 0; i < digits.Length; i++)
        {
            alone[i] = (await OnnxTestKit.RunAsync(runner, digits[i].Image)).Results[0]!;
        }
        Gen.Int[0, digits.Length - 1].Array[1, 40].Sample(batch =>
        {
            var answers = OnnxTestKit.RunAsync(runner, [.. batch.Select(i => digits[i].Image)]).GetAwaiter().GetResult();
            foreach (var (answer, i) in answers.Results.Zip(batch))
            {
                Assert.All(answer!.Zip(alone[i]), p => Assert.Equal(p.Second, p.First, 1e-4f));
            }
        }, iter: 200, threads: 1);
    }

    [Fact]
    public async Task SeveralNamedInputsAndOutputs()
    {
        NamedTensors Item(float a, float b) => new()
        {
            ["a"] = TensorValue.Create(TensorElementType.Float32, new[] { a, a, a }),
            ["b"] = TensorValue.Create(TensorElementType.Float32, new[] { b, b, b }),
        };
        var answers = await OnnxTestKit.RunAsync(OnnxTestKit.Named("add_two_inputs.onnx"), Item(1, 2), Item(10, 3));
        Assert.Equal([3f, 3, 3], answers.Results[0]!["sum"].As<float>().ToArray());
        Assert.Equal([7f, 7, 7], answers.Results[1]!["diff"].As<float>().ToArray());
    }

    [Fact]
    public async Task AFixedBatchCapsTheBatchAndIsPadded()
    {
        await using var runner = await OnnxTestKit.ConnectAsync(OnnxTestKit.Arrays<float, float>("fixed_batch4.onnx"));
        Assert.Equal(4, runner.MaxBatchSize);
        var one = await OnnxTestKit.RunAsync(runner, [1f, 2f]);
        Assert.Equal([2f, 4], one.Results[0]!);
        var three = await OnnxTestKit.RunAsync(runner, [1f, 2f], [3f, 4f], [5f, 6f]);
        Assert.Equal([[2f, 4], [6f, 8], [10f, 12]], three.Results!);
    }

    [Fact]
    public async Task DynamicDimensionsAreTakenFromTheInput()
    {
        var factory = OnnxTestKit.Named("dynamic_length.onnx");
        await factory.InitializeAsync(CancellationToken.None);
        NamedTensors Tokens(params long[] tokens) => new() { ["tokens"] = TensorValue.Create(TensorElementType.Int64, tokens) };
        Assert.Equal(factory.Admit(Tokens(1, 2, 3)), factory.Admit(Tokens(4, 5, 6)));
        Assert.NotEqual(factory.Admit(Tokens(1, 2, 3)).ShapeKey, factory.Admit(Tokens(1, 2)).ShapeKey);
        await using var runner = await OnnxTestKit.ConnectAsync(factory);
        var answers = await OnnxTestKit.RunAsync(runner, Tokens(1, 2, 3), Tokens(4, 5, 6));
        Assert.Equal([6L], answers.Results[0]!["total"].As<long>().ToArray());
        Assert.Equal([8L, 10, 12], answers.Results[1]!["doubled"].As<long>().ToArray());
        var shorter = await OnnxTestKit.RunAsync(runner, Tokens(7));
        Assert.Equal([14L], shorter.Results[0]!["doubled"].As<long>().ToArray());
    }

    [Fact]
    public async Task EveryElementTypeGoesThereAndBack()
    {
        await Echo("float32", TensorElementType.Float32, 1.5f, -2f);
        await Echo("float64", TensorElementType.Float64, 1.5, -2);
        await Echo("float16", TensorElementType.Float16, (Half)1.5, (Half)(-2));
        await Echo<ushort>("bfloat16", TensorElementType.BFloat16, 0x3FC0, 0xC000);
        await Echo<sbyte>("int8", TensorElementType.Int8, -128, 127);
        await Echo<short>("int16", TensorElementType.Int16, short.MinValue, 7);
        await Echo("int32", TensorElementType.Int32, int.MinValue, 7);
        await Echo("int64", TensorElementType.Int64, long.MinValue, 7L);
        await Echo<byte>("uint8", TensorElementType.UInt8, 255, 0);
        await Echo("uint16", TensorElementType.UInt16, ushort.MaxValue, (ushort)1);
        await Echo("uint32", TensorElementType.UInt32, uint.MaxValue, 1u);
        await Echo("uint64", TensorElementType.UInt64, ulong.MaxValue, 1ul);
        await Echo("bool", TensorElementType.Bool, true, false);
        await Echo("string", TensorElementType.String, "zwölf", "");

        static async Task Echo<T>(string name, TensorElementType type, params T[] values)
        {
            var item = new NamedTensors { ["x"] = TensorValue.Create(type, values) };
            var other = new NamedTensors { ["x"] = TensorValue.Create(type, [values[1], values[0]]) };
            var answers = await OnnxTestKit.RunAsync(OnnxTestKit.Named($"echo_{name}.onnx"), item, other);
            Assert.Equal(values, answers.Results[0]!["y"].As<T>().ToArray());
            Assert.Equal([values[1], values[0]], answers.Results[1]!["y"].As<T>().ToArray());
        }
    }

    [Fact]
    public async Task ABatchAllocatesNothingWhereCallersBringTheirMemory()
    {
        await using var runner = await OnnxTestKit.ConnectAsync(OnnxTestKit.Arrays<float, float>("digits.onnx"));
        var images = OnnxTestKit.Digits().Select(d => d.Image).ToArray();
        long Measure(int size)
        {
            var inputs = images[..size];
            var sink = new Answers<float[]>(size) { Destinations = [.. inputs.Select(_ => new float[10])] };
            return Allocations.Of(() => runner.RunAsync(new RequestBatch<float[]>(inputs), sink, CancellationToken.None).GetAwaiter().GetResult());
        }
        Assert.Equal((0, 0), (Measure(1), Measure(32)));
    }

    [Fact]
    public async Task ASessionOnADeviceSeesEachBatchAndNotTheFirstItWasBoundTo()
    {
        var options = new OnnxRunnerOptions { Path = OnnxTestKit.Asset("echo_float32.onnx") };
        var session = OnnxModel.Open(options, threads: 1);
        var plan = ModelPlanner.Plan(OnnxModel.ReadDeclaration(session, options.Path), options);
        var codec = new SingleTensorCodec<float, float>();
        codec.Bind(plan.Requests);
        await using var runner = new OnnxBatchRunner<float[], float[]>(session, plan, codec, slots: 1, isOnDevice: true);
        Assert.Equal([[1f, 2]], (await OnnxTestKit.RunAsync(runner, [1f, 2])).Results!);
        Assert.Equal([[3f, 4]], (await OnnxTestKit.RunAsync(runner, [3f, 4])).Results!);
    }

    [Fact]
    public async Task ADestinationThatIsTooSmallFailsThatItemAlone()
    {
        await using var runner = await OnnxTestKit.ConnectAsync(OnnxTestKit.Arrays<float, float>("echo_float32.onnx"));
        var sink = new Answers<float[]>(2) { Destinations = [new float[1], new float[2]] };
        await runner.RunAsync(new RequestBatch<float[]>(new float[][] { [1, 2], [3, 4] }), sink, CancellationToken.None);
        Assert.Contains("destination holds 1", Assert.IsType<InvalidInputException>(sink.Errors[0]).Message);
        Assert.Equal([3f, 4], sink.Results[1]!);
    }

    [Fact]
    public async Task ADestinationTooSmallForAnAnswerOfAnOpenLengthFailsTheRequest()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddMArkServing().AddModel<NamedTensors, NamedTensors>("echo", m => m.UseOnnx(OnnxTestKit.Asset("echo_float32.onnx")).WithSlo(TimeSpan.FromMinutes(1)));
        builder.Services.AddMArkServing().AddModel<float[], float[]>("twice", m => m.UseOnnx(OnnxTestKit.Asset("twice_as_long_float32.onnx")).WithSlo(TimeSpan.FromMinutes(1)));
        using var host = builder.Build();
        await host.StartAsync();
        var twice = await host.Services.GetRequiredKeyedService<IModelClient<float[], float[]>>("twice").TryInferIntoAsync([1, 2], new float[3]);
        Assert.Equal(InferenceStatus.Failed, twice.Status);
        Assert.Contains("the destination holds 3 values, and the answer has 4", Assert.IsType<InferenceFailedException>(twice.Error).Message);
        var echo = await host.Services.GetRequiredKeyedService<IModelClient<NamedTensors, NamedTensors>>("echo").TryInferIntoAsync(
            new() { ["x"] = TensorValue.Create(TensorElementType.Float32, new float[2]) }, null!);
        Assert.Equal(InferenceStatus.Invalid, echo.Status);
        await host.StopAsync();
    }

    [Fact]
    public async Task ARunThatFailsThrowsSoThatTheEngineCanFindTheCulprit() =>
        await Assert.ThrowsAsync<Microsoft.ML.OnnxRuntime.OnnxRuntimeException>(() =>
            OnnxTestKit.RunAsync(OnnxTestKit.Arrays<long, float>("fails_on_negative.onnx"), [1L], [-1L]));
}
