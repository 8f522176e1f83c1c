using System.Numerics;
using System.Runtime.InteropServices;

namespace MArk.Serving.Tensors;

/// <summary>Numbers of <see cref="TensorElementType.BFloat16"/>, which .NET has no type for, as their bits.</summary>
internal static class BFloat16Bits
{
    private const ushort Exponent = 0x7F80;

    /// <summary>Whether a number is neither NaN nor an infinity: those have every bit of the exponent set.</summary>
    public static bool IsFinite(ushort bits) => (bits & Exponent) != Exponent;

    public static bool IsFiniteAll(ReadOnlySpan<ushort> bits)
    {
        var exponent = new Vector<ushort>(Exponent);
        var vectors = MemoryMarshal.Cast<ushort, Vector<ushort>>(bits);
        foreach (var vector in vectors)
        {
            if (Vector.EqualsAny(vector & exponent, exponent))
            {
                return false;
            }
        }
        foreach (var one in bits[(vectors.Length * Vector<ushort>.Count)..])
        {
            if (!IsFinite(one))
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>The number: its bits are the upper half of a 32-bit one's.</summary>
    public static float ToSingle(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
