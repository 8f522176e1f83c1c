using MArk.Serving.Tensors;

namespace MArk.Serving.OnnxRuntime.Tests;

public sealed class OnnxErrorTests
{
    private static async Task<ModelLoadException> Load(string path, OnnxExecutionProvider provider = default) =>
        await Assert.ThrowsAsync<ModelLoadException>(async () => await new OnnxBatchRunnerFactory<NamedTensors, NamedTensors>(
            new OnnxRunnerOptions { Path = path, ExecutionProvider = provider }, new NamedTensorsCodec()).InitializeAsync(CancellationToken.None));

    [Fact]
    public async Task AMissingFileIsNamed() => Assert.Contains("'no/such.onnx': there is no such file", (await Load("no/such.onnx")).Message);

    [Fact]
    public async Task AFolderIsNamed() => Assert.Contains("it is a folder", (await Load(AppContext.BaseDirectory)).Message);

    [Fact]
    public async Task AFileThatIsNoModelIsNamed()
    {
        var error = await Load(OnnxTestKit.Asset("digits-heldout.csv"));
        Assert.Contains("digits-heldout.csv", error.Message);
        Assert.Contains("cannot load it", error.Message);
    }

    [Fact]
    public async Task AnOutputWithoutABatchIsNamed() => Assert.Contains("output 'mean' is a scalar", (await Load(OnnxTestKit.Asset("scalar_output.onnx"))).Message);

    [Fact]
    public async Task CudaThatIsNotThereIsSaid() =>
        Assert.Contains("Microsoft.ML.OnnxRuntime.Gpu", (await Load(OnnxTestKit.Asset("digits.onnx"), OnnxExecutionProvider.Cuda)).Message);

    [Theory]
    [InlineData(0)]
    [InlineData(-2)]
    [InlineData(1025)]
    public async Task ThreadsOutOfRangeAreNamed(int threads)
    {
        var error = await Assert.ThrowsAsync<ModelLoadException>(async () =>
            await OnnxTestKit.Named("add_two_inputs.onnx", o => o with { IntraOpThreads = threads }).InitializeAsync(CancellationToken.None));
        Assert.Contains($"IntraOpThreads is {threads}; accepted are 1 to 1024, or null", error.Message);
    }

    [Theory]
    [InlineData((OnnxExecutionProvider)7, 0, "ExecutionProvider is 7; accepted are Cpu, Cuda.")]
    [InlineData((OnnxExecutionProvider)(-1), 0, "ExecutionProvider is -1; accepted are Cpu, Cuda.")]
    [InlineData(OnnxExecutionProvider.Cpu, 1, "DeviceId is 1, and ExecutionProvider is Cpu; a device is accepted with Cuda alone.")]
    [InlineData(OnnxExecutionProvider.Cuda, -1, "DeviceId is -1; accepted are numbers from 0.")]
    public async Task AProviderThatThereIsNotAndADeviceThatItHasNotAreNamed(OnnxExecutionProvider provider, int device, string says)
    {
        var error = await Assert.ThrowsAsync<ModelLoadException>(async () =>
            await OnnxTestKit.Named("add_two_inputs.onnx", o => o with { ExecutionProvider = provider, DeviceId = device }).InitializeAsync(CancellationToken.None));
        Assert.Contains(says, error.Message);
    }

    private static async Task<string> Refused(NamedTensors input)
    {
        var factory = OnnxTestKit.Named("add_two_inputs.onnx");
        await factory.InitializeAsync(CancellationToken.None);
        return Assert.Throws<InvalidInputException>(() => factory.Admit(input)).Message;
    }

    private static TensorValue Three(float value = 0) => TensorValue.Create(TensorElementType.Float32, new[] { value, 0, 0 });

    [Fact]
    public async Task WrongNamesTypesRanksShapesAndValuesAreNamed()
    {
        Assert.Contains("'c': the model has no such input; it declares a: Float32[batch,3], b: Float32[batch,3]", await Refused(new() { ["a"] = Three(), ["c"] = Three() }));
        Assert.Contains("'b': it is missing", await Refused(new() { ["a"] = Three() }));
        Assert.Contains("'b': it is Float64[3]; the model declares b: Float32[batch,3]", await Refused(new() { ["a"] = Three(), ["b"] = TensorValue.Create(TensorElementType.Float64, new double[3]) }));
        Assert.Contains("'b': it is Float32[1,3]", await Refused(new() { ["a"] = Three(), ["b"] = TensorValue.Create(TensorElementType.Float32, new float[3], 1, 3) }));
        Assert.Contains("'b': it is Float32[4]", await Refused(new() { ["a"] = Three(), ["b"] = TensorValue.Create(TensorElementType.Float32, new float[4]) }));
        Assert.Contains("'b': it holds NaN", await Refused(new() { ["a"] = Three(), ["b"] = Three(float.NaN) }));
        Assert.Contains("it is null", await Refused(null!));
    }

    [Theory]
    [InlineData(63, 0f, "it has 63 values")]
    [InlineData(65, 0f, "it has 65 values")]
    [InlineData(64, float.NaN, "value 5 is NaN; finite numbers are accepted")]
    [InlineData(64, float.PositiveInfinity, "value 5 is Infinity")]
    public async Task ArraysOfTheWrongLengthOrValueAreNamed(int length, float value, string says)
    {
        var factory = OnnxTestKit.Arrays<float, float>("digits.onnx");
        await factory.InitializeAsync(CancellationToken.None);
        var image = new float[length];
        image[5] = value;
        Assert.Contains(says, Assert.Throws<InvalidInputException>(() => factory.Admit(image)).Message);
    }

    [Fact]
    public async Task ACodecThatDoesNotFitTheModelFailsAtStart()
    {
        Assert.Contains("Use NamedTensors", (await Assert.ThrowsAsync<ServingException>(async () => await OnnxTestKit.Arrays<float, float>("add_two_inputs.onnx").InitializeAsync(default))).Message);
        Assert.Contains("Double do not fit", (await Assert.ThrowsAsync<ServingException>(async () => await OnnxTestKit.Arrays<double, float>("digits.onnx").InitializeAsync(default))).Message);
    }
}
