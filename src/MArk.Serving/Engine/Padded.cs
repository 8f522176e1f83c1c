#pragma warning disable CS0169 // Padding is never read.

using System.Runtime.InteropServices;

namespace MArk.Serving.Engine;

// What one thread writes often is kept on cache lines of its own, away from what others read: with each write they would have to fetch that anew.

/// <summary>A number on cache lines of its own.</summary>
[StructLayout(LayoutKind.Explicit, Size = 2 * Padding.Length)]
internal struct PaddedInt
{
    [FieldOffset(Padding.Length)]
    public int Value;
}

/// <summary>A reference on cache lines of its own.</summary>
internal sealed class PaddedReference<T> : PaddingBefore where T : class
{
    public T? Value;

    private readonly Padding _after;
}

/// <summary>A base class's fields lie before those of the class.</summary>
internal abstract class PaddingBefore
{
    private readonly Padding _before;
}

/// <summary>Two lines of the usual 64 bytes, as processors fetch them in pairs.</summary>
[StructLayout(LayoutKind.Explicit, Size = Length)]
internal struct Padding
{
    public const int Length = 128;
}
