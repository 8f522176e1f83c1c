using MArk.Serving.Tensors;

namespace MArk.Serving.Tests.Tensors;

/// <summary>A codec belongs to one model and version.</summary>
public sealed class CodecBindingTests
{
    private static ModelSignature Model(string input = "x", TensorElementType type = TensorElementType.Float32, long length = 3, string output = "y", int maxBatchSize = int.MaxValue) =>
        new([new TensorSpec(input, type, [length])], [new TensorSpec(output, TensorElementType.Float32, [length])], maxBatchSize);

    private static NamedTensors Named(int length) => new() { ["x"] = TensorValue.Create(TensorElementType.Float32, new float[length]) };

    [Fact]
    public void BoundAgainToTheSameTensorsItGoesOn()
    {
        var arrays = new SingleTensorCodec<float, float>();
        var named = new NamedTensorsCodec();
        foreach (var signature in new[] { Model(), Model(), Model(maxBatchSize: 4) })
        {
            arrays.Bind(signature);
            named.Bind(signature);
        }
        arrays.Validate(new float[3]);
        named.Validate(Named(3));
    }

    [Fact]
    public void BoundToOtherTensorsItRefusesAndStaysAsItIs()
    {
        var arrays = new SingleTensorCodec<float, float>();
        var named = new NamedTensorsCodec();
        arrays.Bind(Model());
        named.Bind(Model());
        ModelSignature[] others =
        [
            Model(length: 4), Model(length: -1), Model(input: "z"), Model(output: "z"), Model(type: TensorElementType.Float64), new([.. Model().Inputs, .. Model("z").Inputs], Model().Outputs),
        ];
        foreach (var other in others)
        {
            Assert.Throws<ServingException>(() => arrays.Bind(other));
            var error = Assert.Throws<ServingException>(() => named.Bind(other));
            Assert.StartsWith("The codec is bound to a model of inputs x: Float32[batch,3] and outputs y: Float32[batch,3], and this one is of inputs ", error.Message, StringComparison.Ordinal);
            Assert.EndsWith("A codec belongs to one model and version; make a new one.", error.Message, StringComparison.Ordinal);
        }
        arrays.Validate(new float[3]);
        named.Validate(Named(3));
        Assert.Throws<InvalidInputException>(() => arrays.Validate(new float[4]));
        Assert.Throws<InvalidInputException>(() => named.Validate(Named(4)));
    }

    [Fact]
    public void TheOrderOfTensorsIsPartOfThem()
    {
        var (a, b) = (Model("a").Inputs[0], Model("b").Inputs[0]);
        var codec = new NamedTensorsCodec();
        codec.Bind(new ModelSignature([a, b], Model().Outputs));
        Assert.Throws<ServingException>(() => codec.Bind(new ModelSignature([b, a], Model().Outputs)));
    }

    [Fact]
    public void AModelThatDoesNotFitLeavesItUnbound()
    {
        var arrays = new SingleTensorCodec<float, float>();
        Assert.Contains("Double", Assert.Throws<ServingException>(() => new SingleTensorCodec<double, float>().Bind(Model())).Message, StringComparison.Ordinal);
        Assert.Throws<ServingException>(() => arrays.Bind(Model(type: TensorElementType.Float64)));
        arrays.Bind(Model());
        arrays.Validate(new float[3]);
    }

    [Fact]
    public async Task OfTwoModelsThatBindItAtOnceOneHasIt()
    {
        for (var round = 0; round < 200; round++)
        {
            var codec = new SingleTensorCodec<float, float>();
            using var both = new Barrier(2);
            var bound = await Task.WhenAll(new[] { 3, 4 }.Select(length => Task.Factory.StartNew(
                () =>
                {
                    both.SignalAndWait();
                    return Record.Exception(() => codec.Bind(Model(length: length))) is null ? length : 0;
                }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
            codec.Validate(new float[Assert.Single(bound, length => length != 0)]);
        }
    }
}
