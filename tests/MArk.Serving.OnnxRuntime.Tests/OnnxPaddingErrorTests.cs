using System.Collections.Immutable;

namespace MArk.Serving.OnnxRuntime.Tests;

public sealed class OnnxPaddingErrorTests
{
    private static async Task Refused(string model, string says, params ImmutableArray<OnnxPadding> padding)
    {
        var error = await Assert.ThrowsAsync<ModelLoadException>(async () =>
            await OnnxTestKit.Named(model, o => o with { Padding = padding }).InitializeAsync(CancellationToken.None));
        Assert.Contains(model, error.Message);
        Assert.Contains(says, error.Message);
    }

    private static OnnxPadding Mean(string? mask = "mask", params ImmutableArray<int> buckets) =>
        new() { Inputs = [new("values", "length")], Buckets = buckets.IsEmpty ? [4] : buckets, Mask = mask };

    private static OnnxPadding Of(params ImmutableArray<OnnxDimension> inputs) => new() { Inputs = inputs, Buckets = [4] };

    [Fact]
    public async Task BucketsMustAscend()
    {
        const string accepted = "accepted is at least one length, the first at least 1 and each longer than the one before";
        await Refused("masked_mean.onnx", $"Padding[0].Buckets is [8, 4]; {accepted}", Mean(buckets: [8, 4]));
        await Refused("masked_mean.onnx", $"Padding[0].Buckets is [4, 4]; {accepted}", Mean(buckets: [4, 4]));
        await Refused("masked_mean.onnx", $"Padding[0].Buckets is [0, 4]; {accepted}", Mean(buckets: [0, 4]));
        await Refused("masked_mean.onnx", $"Padding[0].Buckets is []; {accepted}", new OnnxPadding { Inputs = [new("values", 1)], Buckets = [] });
        await Refused("masked_mean.onnx", $"Padding[0].Buckets is []; {accepted}", new OnnxPadding { Inputs = [new("values", 1)], Buckets = default });
    }

    [Fact]
    public async Task TooManyShapesAreRefused()
    {
        ImmutableArray<int> buckets = [.. Enumerable.Range(1, 300)];
        await Refused(
            "image_max.onnx", "Padding makes more than 65536 combinations of buckets",
            new OnnxPadding { Inputs = [new("image", 1)], Buckets = buckets }, new OnnxPadding { Inputs = [new("image", 2)], Buckets = buckets });
    }

    [Fact]
    public async Task InputsMustBeOpenDimensionsOfTheModel()
    {
        await Refused("masked_mean.onnx", "Padding[0] is null", [null!]);
        await Refused("masked_mean.onnx", "Padding[0].Inputs names no dimension; accepted is at least one open dimension of values: Float32[batch,length], mask: Bool[batch,length]", Of([]));
        await Refused("masked_mean.onnx", "Padding[0].Inputs names no dimension", Of(default));
        await Refused("masked_mean.onnx", "Padding[0].Inputs[0] is null", Of([null!]));
        await Refused("masked_mean.onnx", "Padding[0].Inputs[0] is dimension 'length' of 'x'; the model has no such input, it declares values: Float32[batch,length], mask: Bool[batch,length]", Of(new OnnxDimension("x", "length")));
        await Refused("masked_mean.onnx", "Padding[0].Inputs[0] is dimension 'width' of 'values'; accepted is an open dimension besides the batch of values: Float32[batch,length]", Of(new OnnxDimension("values", "width")));
        await Refused("masked_mean.onnx", "is dimension 'batch' of 'values'; accepted is an open dimension besides the batch", Of(new OnnxDimension("values", "batch")));
        await Refused("masked_mean.onnx", "is dimension 0 of 'values'; accepted is an open dimension besides the batch", Of(new OnnxDimension("values", 0)));
        await Refused("masked_mean.onnx", "is dimension 2 of 'values'; accepted is an open dimension besides the batch", Of(new OnnxDimension("values", 2)));
        await Refused("masked_channels.onnx", "is dimension 1 of 'features', which is fixed at 2; accepted is an open dimension", Of(new OnnxDimension("features", 1)));
        await Refused("square.onnx", "is dimension 'length' of 'x', and 2 have that name; accepted is the place of one: 1, 2", Of(new OnnxDimension("x", "length")));
        await Refused("masked_mean.onnx", "Padding[0].Inputs[1] is dimension 1 of 'values', which is named before; accepted is each dimension once", Of(new("values", "length"), new("values", 1)));
        await Refused("masked_mean.onnx", "Padding[1].Inputs[0] is dimension 'length' of 'values', which is named before", Mean(), Mean());
    }

    [Fact]
    public async Task OutputsMustBeOpenDimensionsOfTheModel()
    {
        await Refused("masked_mean.onnx", "Padding[0].Outputs[0] is dimension 1 of 'centered'; the model has no such output, it declares mean: Float32[batch,1]", Cut("centered"));
        await Refused("masked_mean.onnx", "Padding[0].Outputs[0] is dimension 1 of 'mean', which is fixed at 1", Cut("mean"));

        static OnnxPadding Cut(string output) => new() { Inputs = [new("values", 1)], Buckets = [4], Outputs = [new(output, 1)] };
    }

    [Fact]
    public async Task AMaskMustBeAnInputOfItsOwn()
    {
        await Refused("masked_mean.onnx", "Padding[0].Mask is 'attention'; the model has no such input, it declares values", Mean("attention"));
        await Refused("masked_mean.onnx", "Padding[0].Mask is 'values', which is padded or a mask already", Mean("values"));
        await Refused("square.onnx", "Padding[0].Mask is label: String[batch,words]; accepted is an input of numbers or truth values with exactly one open dimension", new OnnxPadding { Inputs = [new("x", 1)], Buckets = [4], Mask = "label" });
        await Refused("add_two_inputs.onnx", "Padding[0].Inputs[0] is dimension 1 of 'a', which is fixed at 3", new OnnxPadding { Inputs = [new("a", 1)], Buckets = [4], Mask = "b" });
        await Refused("square.onnx", "Padding[0].Mask is x: Float32[batch,length,length]; accepted", new OnnxPadding { Inputs = [new("label", "words")], Buckets = [4], Mask = "x" });
        await Refused(
            "masked_channels.onnx", "Padding[1].Mask is 'mask', which is padded or a mask already",
            new OnnxPadding { Inputs = [new("features", 2)], Buckets = [4], Mask = "mask" }, new OnnxPadding { Inputs = [new("tokens", 1)], Buckets = [4], Mask = "mask" });
    }

    [Fact]
    public async Task APadValueMustBeOneOfTheInputs()
    {
        OnnxPadding Fill(string input, double value) => new()
        {
            Inputs = [new("tokens", "length")],
            Buckets = [4],
            PadValues = new Dictionary<string, double> { [input] = value },
        };
        await Refused("dynamic_length.onnx", "Padding[0].PadValues names 'x', which it does not pad; it pads tokens: Int64[batch,length]", Fill("x", 0));
        await Refused("dynamic_length.onnx", "Padding[0].PadValues is 0.5 for 'tokens'; accepted is a value of Int64", Fill("tokens", 0.5));
    }
}
