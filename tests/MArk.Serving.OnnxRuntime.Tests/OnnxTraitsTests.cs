using System.Collections.Immutable;
using MArk.Serving.Tensors;

namespace MArk.Serving.OnnxRuntime.Tests;

public sealed class OnnxTraitsTests
{
    private static async Task<RequestTraits> Admit<TIn, TOut>(OnnxBatchRunnerFactory<TIn, TOut> factory, TIn input)
    {
        await factory.InitializeAsync(CancellationToken.None);
        return factory.Admit(input);
    }

    private static Func<OnnxRunnerOptions, OnnxRunnerOptions> Weight(params ImmutableArray<OnnxDimension> weightOf) => o => o with { WeightOf = weightOf };

    private static NamedTensors Tokens(int length) => new() { ["tokens"] = TensorValue.Create(TensorElementType.Int64, new long[length]) };

    private static NamedTensors Image(int height, int width) => new() { ["image"] = TensorValue.Create(TensorElementType.Float32, new float[height * width], height, width) };

    [Fact]
    public async Task AFixedShapeWeighsOneAndHoldsItsElements()
    {
        Assert.Equal(new RequestTraits(0, 1, 64 * sizeof(float)), await Admit(OnnxTestKit.Arrays<float, float>("digits.onnx"), new float[64]));
        var two = new NamedTensors
        {
            ["a"] = TensorValue.Create(TensorElementType.Float32, new float[3]),
            ["b"] = TensorValue.Create(TensorElementType.Float32, new float[3]),
        };
        Assert.Equal(new RequestTraits(0, 1, 2 * 3 * sizeof(float)), await Admit(OnnxTestKit.Named("add_two_inputs.onnx"), two));
    }

    [Fact]
    public async Task AnOpenLengthHoldsItsOwnElementsAndNotItsPadding()
    {
        Assert.Equal(5 * sizeof(long), (await Admit(OnnxTestKit.Named("dynamic_length.onnx"), Tokens(5))).Bytes);
        OnnxPadding padding = new() { Inputs = [new("tokens", "length")], Buckets = [8] };
        Assert.Equal(5 * sizeof(long), (await Admit(OnnxTestKit.Named("dynamic_length.onnx", o => o with { Padding = [padding] }), Tokens(5))).Bytes);
    }

    [Fact]
    public async Task StringsHoldTheirCharacters()
    {
        var words = new NamedTensors { ["x"] = TensorValue.Create(TensorElementType.String, new[] { "four", "" }) };
        Assert.Equal(2 * 24 + 4 * sizeof(char), (await Admit(OnnxTestKit.Named("echo_string.onnx"), words)).Bytes);
        Assert.Equal(2 * 24 + 4 * sizeof(char), (await Admit(OnnxTestKit.Named("echo_words.onnx"), words)).Bytes);
        var own = new OnnxBatchRunnerFactory<NamedTensors, NamedTensors>(new OnnxRunnerOptions { Path = OnnxTestKit.Asset("echo_words.onnx") }, new OwnCodec());
        Assert.Equal(2 * 64, (await Admit(own, words)).Bytes);
    }

    [Fact]
    public async Task AWeightIsTheProductOfTheNamedDimensionsAsTheyRun()
    {
        Assert.Equal(1, (await Admit(OnnxTestKit.Named("dynamic_length.onnx"), Tokens(5))).Weight);
        Assert.Equal(5, (await Admit(OnnxTestKit.Named("dynamic_length.onnx", Weight(new OnnxDimension("tokens", "length"))), Tokens(5))).Weight);
        Assert.Equal(1, (await Admit(OnnxTestKit.Named("dynamic_length.onnx", Weight(new OnnxDimension("tokens", 1))), Tokens(0))).Weight);
        Assert.Equal(12, (await Admit(OnnxTestKit.Named("image_max.onnx", Weight(new("image", "height"), new("image", "width"))), Image(3, 4))).Weight);
        OnnxPadding padding = new() { Inputs = [new("image", "width")], Buckets = [8, 16] };
        Assert.Equal(24, (await Admit(OnnxTestKit.Named("image_max.onnx", o => o with { Padding = [padding], WeightOf = [new("image", 1), new("image", 2)] }), Image(3, 4))).Weight);
    }

    [Fact]
    public async Task AWeightThatIsNoOpenDimensionOfARequestIsNamed()
    {
        async Task Refused(string model, string says, Func<OnnxRunnerOptions, OnnxRunnerOptions> with) => Assert.Contains(
            says, (await Assert.ThrowsAsync<ModelLoadException>(async () => await OnnxTestKit.Named(model, with).InitializeAsync(CancellationToken.None))).Message);

        await Refused("dynamic_length.onnx", "WeightOf[0] is null", Weight([null!]));
        await Refused("dynamic_length.onnx", "WeightOf[0] is dimension 'length' of 'x'; the model has no such input, it declares tokens: Int64[batch,length]", Weight(new OnnxDimension("x", "length")));
        await Refused("dynamic_length.onnx", "WeightOf[1] is dimension 'width' of 'tokens'; accepted is an open dimension", Weight(new("tokens", 1), new("tokens", "width")));
        await Refused("add_two_inputs.onnx", "WeightOf[0] is dimension 1 of 'a', which is fixed at 3", Weight(new OnnxDimension("a", 1)));
        OnnxPadding padding = new() { Inputs = [new("values", 1)], Buckets = [8], Mask = "mask" };
        await Refused("masked_mean.onnx", "WeightOf[0] is dimension 1 of 'mask', a mask, which requests do not bring", o => o with { Padding = [padding], WeightOf = [new("mask", 1)] });
    }

    [Fact]
    public async Task AdmissionAllocatesNothing()
    {
        var fixedShape = OnnxTestKit.Arrays<float, float>("digits.onnx");
        var padded = OnnxTestKit.Named("image_max.onnx", o => o with { Padding = [new() { Inputs = [new("image", 2)], Buckets = [8, 16] }], WeightOf = [new("image", 1)] });
        var (digit, image) = (new float[64], Image(3, 4));
        await Admit(fixedShape, digit);
        await Admit(padded, image);
        Assert.Equal(0, Allocations.Of(() => fixedShape.Admit(digit)));
        Assert.Equal(AllocatedByValidation(), Allocations.Of(() => padded.Admit(image)));

        long AllocatedByValidation()
        {
            var codec = new NamedTensorsCodec();
            codec.Bind(padded.Signature);
            return Allocations.Of(() => codec.Validate(image));
        }
    }

    /// <summary>A codec that does not say how long its strings are.</summary>
    private sealed class OwnCodec : ITensorCodec<NamedTensors, NamedTensors>
    {
        private readonly NamedTensorsCodec _inner = new();

        public void Bind(ModelSignature signature) => _inner.Bind(signature);

        public void Validate(NamedTensors input) => _inner.Validate(input);

        public void GetItemShape(NamedTensors input, int inputIndex, Span<long> itemShape) => _inner.GetItemShape(input, inputIndex, itemShape);

        public void Write(NamedTensors input, ITensorItems inputs) => _inner.Write(input, inputs);

        public NamedTensors Read(ITensorItems outputs, bool hasDestination, NamedTensors? destination) => _inner.Read(outputs, hasDestination, destination);
    }
}
