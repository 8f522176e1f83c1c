using System.Numerics;

namespace MArk.Serving.OnnxRuntime;

/// <summary>A number as an element of a tensor, in the low bits of a word.</summary>
internal static class ElementBits
{
    /// <summary>Whether the number is one of the type's; floating point rounds. Strings have one: 0, the empty one.</summary>
    public static bool TryEncode(TensorElementType type, double value, out ulong bits)
    {
        (bool Fits, ulong Bits) encoded = type switch
        {
            TensorElementType.Float64 => (true, BitConverter.DoubleToUInt64Bits(value)),
            TensorElementType.Float32 => (IsHeld(value, (float)value), BitConverter.SingleToUInt32Bits((float)value)),
            TensorElementType.Float16 => (IsHeld(value, (double)(Half)value), BitConverter.HalfToUInt16Bits((Half)value)),
            TensorElementType.BFloat16 => (IsHeld(value, (float)value), BitConverter.SingleToUInt32Bits((float)value) >> 16),
            TensorElementType.Int8 => Integer<sbyte>(value),
            TensorElementType.Int16 => Integer<short>(value),
            TensorElementType.Int32 => Integer<int>(value),
            TensorElementType.Int64 => Integer<long>(value),
            TensorElementType.UInt8 => Integer<byte>(value),
            TensorElementType.UInt16 => Integer<ushort>(value),
            TensorElementType.UInt32 => Integer<uint>(value),
            TensorElementType.UInt64 => Integer<ulong>(value),
            TensorElementType.Bool => (value is 0 or 1, value == 1 ? 1UL : 0),
            _ => (value == 0, 0),
        };
        bits = encoded.Bits;
        return encoded.Fits;
    }

    private static bool IsHeld(double value, double rounded) => double.IsFinite(value) == double.IsFinite(rounded);

    private static (bool, ulong) Integer<T>(double value) where T : IBinaryInteger<T>
    {
        var integer = T.CreateSaturating(value);
        return (double.CreateChecked(integer) == value, ulong.CreateTruncating(integer));
    }
}
