using System.Numerics;
using MArk.Serving.Tensors;

namespace MArk.Serving.Tests.Tensors;

/// <summary>Inputs that do not fit are refused by the name of what is wrong with them.</summary>
public sealed class CodecInputTests
{
    private static ModelSignature Echo(TensorElementType type) => new([new TensorSpec("x", type, [-1])], [new TensorSpec("y", type, [-1])]);

    private static NamedTensorsCodec Named(TensorElementType type, bool allowNonFinite = false)
    {
        var codec = new NamedTensorsCodec { AllowNonFinite = allowNonFinite };
        codec.Bind(Echo(type));
        return codec;
    }

    private static SingleTensorCodec<T, T> Arrays<T>(TensorElementType type, bool allowNonFinite = false) where T : unmanaged, INumberBase<T>
    {
        var codec = new SingleTensorCodec<T, T> { AllowNonFinite = allowNonFinite };
        codec.Bind(Echo(type));
        return codec;
    }

    [Fact]
    public void AStringThatIsNullIsNamedByItsIndex()
    {
        var codec = Named(TensorElementType.String);
        codec.Validate(new() { ["x"] = TensorValue.Create(TensorElementType.String, new[] { "", "a" }) });
        var error = Assert.Throws<InvalidInputException>(() => codec.Validate(new() { ["x"] = TensorValue.Create(TensorElementType.String, new[] { "a", null! }) }));
        Assert.Equal(("x", "Input 'x': string 1 is null; an empty one is \"\"."), (error.InputName, error.Message));
    }

    [Fact]
    public void ATensorThatIsNullIsNamed() =>
        Assert.Contains("'x': it is null", Assert.Throws<InvalidInputException>(() => Named(TensorElementType.Float32).Validate(new() { ["x"] = null! })).Message);

    [Theory]
    [InlineData(0x7F80, "Infinity")]
    [InlineData(0xFF80, "-Infinity")]
    [InlineData(0x7FC0, "NaN")]
    [InlineData(0xFF81, "NaN")]
    public void BFloat16HasNaNAndInfinitiesToo(int bits, string name)
    {
        // At every place of a vector, and beyond the last whole one.
        for (var place = 0; place < 70; place++)
        {
            var values = new ushort[70];
            Array.Fill(values, (ushort)0x7F7F);
            values[place] = (ushort)bits;
            RefusesUnlessAllowed(TensorElementType.BFloat16, values, $"value {place} is {name}; finite numbers are accepted");
        }
    }

    [Fact]
    public void EveryOtherTypeThatHasThemRefusesThem()
    {
        RefusesUnlessAllowed(TensorElementType.Float32, [1, float.NegativeInfinity], "value 1 is -Infinity");
        RefusesUnlessAllowed(TensorElementType.Float64, [double.NaN, 1], "value 0 is NaN");
        RefusesUnlessAllowed(TensorElementType.Float16, [Half.MaxValue, Half.NaN], "value 1 is NaN");
    }

    [Fact]
    public void FiniteNumbersAndIntegersOfTheSameBitsAreTaken()
    {
        ushort[] large = [0x7F7F, 0xFF7F, 0x0001, 0];
        Arrays<ushort>(TensorElementType.BFloat16).Validate(large);
        Named(TensorElementType.BFloat16).Validate(new() { ["x"] = TensorValue.Create(TensorElementType.BFloat16, large) });
        Arrays<ushort>(TensorElementType.UInt16).Validate([0x7F80, 0xFFFF]);
        Named(TensorElementType.UInt16).Validate(new() { ["x"] = TensorValue.Create(TensorElementType.UInt16, new ushort[] { 0x7F80 }) });
    }

    [Theory]
    [InlineData(null, "'y': the destination is null; the model declares y: Float32[batch,2,3]: 6 values.")]
    [InlineData(5, "'y': the destination holds 5 values; the model declares y: Float32[batch,2,3]: 6 values.")]
    public void ADestinationThatNoAnswerFitsIsRefused(int? length, string says)
    {
        var codec = new SingleTensorCodec<float, float>();
        codec.Bind(new([new TensorSpec("x", TensorElementType.Float32, [1])], [new TensorSpec("y", TensorElementType.Float32, [2, 3])]));
        Assert.Contains(says, Assert.Throws<InvalidInputException>(() => codec.ValidateDestination([1], length is { } l ? new float[l] : null)).Message);
        codec.ValidateDestination([1], new float[6]);
        codec.ValidateDestination([1], new float[7]);
    }

    [Fact]
    public void OfAnAnswerOfAnOpenLengthTheDestinationMustBeThere()
    {
        Arrays<float>(TensorElementType.Float32).ValidateDestination([1], []);
        Assert.Contains("'y': the destination is null", Assert.Throws<InvalidInputException>(() => Arrays<float>(TensorElementType.Float32).ValidateDestination([1], null)).Message);
        Named(TensorElementType.Float32).ValidateDestination([], []);
        Assert.Contains("the destination is null; the model declares y: Float32[batch,-1]", Assert.Throws<InvalidInputException>(() => Named(TensorElementType.Float32).ValidateDestination([], null)).Message);
    }

    private static void RefusesUnlessAllowed<T>(TensorElementType type, T[] values, string says) where T : unmanaged, INumberBase<T>
    {
        NamedTensors named = new() { ["x"] = TensorValue.Create(type, values) };
        Assert.Contains(says, Assert.Throws<InvalidInputException>(() => Arrays<T>(type).Validate(values)).Message);
        Assert.Contains("it holds NaN or an infinity", Assert.Throws<InvalidInputException>(() => Named(type).Validate(named)).Message);
        Arrays<T>(type, allowNonFinite: true).Validate(values);
        Named(type, allowNonFinite: true).Validate(named);
    }
}
