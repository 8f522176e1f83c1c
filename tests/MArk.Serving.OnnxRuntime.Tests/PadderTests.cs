using CsCheck;

namespace MArk.Serving.OnnxRuntime.Tests;

/// <summary>Issue 3, feature 4: elements are spread and cut back.</summary>
public sealed class PadderTests
{
    private static readonly Gen<(long[] Own, long[] Padded)> Shapes = Gen.Select(Gen.Long[0, 4], Gen.Long[0, 3]).Array[1, 4]
        .Select(dimensions => (dimensions.Select(d => d.Item1).ToArray(), dimensions.Select(d => d.Item1 + d.Item2).ToArray()));

    [Theory]
    [InlineData(TensorElementType.UInt8)]
    [InlineData(TensorElementType.Int16)]
    [InlineData(TensorElementType.Float32)]
    [InlineData(TensorElementType.Int64)]
    public void WhatIsSpreadIsPaddedAroundAndCutsBackToTheSame(TensorElementType type) => Shapes.Sample((own, padded) =>
    {
        var size = TensorElementTypes.SizeOf(type);
        var spec = new TensorSpec("t", type, [.. padded]);
        var bytes = new byte[Product(padded) * size];
        var item = new TensorItem(spec, padded, bytes);
        var head = Padder.Head(item, own);
        for (var i = 0; i < head.Bytes.Length; i++)
        {
            head.Bytes[i] = (byte)(1 + i % 200);
        }
        var before = head.Bytes.ToArray();
        const ulong fill = 0xF1F2F3F4F5F6F7F8;
        Padder.Spread(item, own, fill);
        var next = 0;
        for (var i = 0; i < Product(padded); i++)
        {
            var element = bytes.AsSpan(i * size, size);
            if (IsWithin(i, own, padded))
            {
                Assert.True(element.SequenceEqual(before.AsSpan(next, size)));
                next += size;
            }
            else
            {
                Assert.True(element.SequenceEqual(BitConverter.GetBytes(fill).AsSpan(0, size)));
            }
        }
        Assert.Equal(before.Length, next);
        Padder.Cut(item, own);
        Assert.True(before.AsSpan().SequenceEqual(Padder.Head(item, own).Bytes));
    });

    [Fact]
    public void StringsArePaddedWithEmptyOnes()
    {
        long[] own = [2, 1], padded = [3, 2];
        var strings = new[] { "a", "b", "stale", "stale", "stale", "stale" };
        var item = new TensorItem(new TensorSpec("t", TensorElementType.String, [3, 2]), padded, strings.AsSpan());
        Padder.Spread(item, own, fill: 0);
        Assert.Equal(["a", "", "b", "", "", ""], strings);
        Padder.Cut(item, own);
        Assert.Equal(["a", "b"], Padder.Head(item, own).Strings.ToArray());
    }

    [Theory]
    [InlineData(TensorElementType.Float32, 1.0, 0x3F800000ul)]
    [InlineData(TensorElementType.Float64, 1.0, 0x3FF0000000000000ul)]
    [InlineData(TensorElementType.Float16, 1.0, 0x3C00ul)]
    [InlineData(TensorElementType.BFloat16, 1.0, 0x3F80ul)]
    [InlineData(TensorElementType.Float32, double.NegativeInfinity, 0xFF800000ul)]
    [InlineData(TensorElementType.Bool, 1.0, 1ul)]
    [InlineData(TensorElementType.UInt8, 255.0, 255ul)]
    [InlineData(TensorElementType.Int64, -1.0, ulong.MaxValue)]
    [InlineData(TensorElementType.String, 0.0, 0ul)]
    public void ANumberIsEncodedAsAnElement(TensorElementType type, double value, ulong bits)
    {
        Assert.True(ElementBits.TryEncode(type, value, out var encoded));
        Assert.Equal(bits, encoded);
    }

    [Theory]
    [InlineData(TensorElementType.Int64, 0.5)]
    [InlineData(TensorElementType.Int8, 128.0)]
    [InlineData(TensorElementType.UInt16, -1.0)]
    [InlineData(TensorElementType.Int32, double.NaN)]
    [InlineData(TensorElementType.Bool, 2.0)]
    [InlineData(TensorElementType.Float32, 1e300)]
    [InlineData(TensorElementType.Float16, 1e6)]
    [InlineData(TensorElementType.String, 1.0)]
    public void ANumberThatIsNoElementIsRefused(TensorElementType type, double value) => Assert.False(ElementBits.TryEncode(type, value, out _));

    private static int Product(long[] shape) => (int)shape.Aggregate(1L, (a, b) => a * b);

    private static bool IsWithin(int index, long[] own, long[] padded)
    {
        for (var d = padded.Length - 1; d >= 0; d--)
        {
            if (index % padded[d] >= own[d])
            {
                return false;
            }
            index /= (int)padded[d];
        }
        return true;
    }
}
