using System.Collections.Immutable;

namespace MArk.Serving;

/// <summary>The type of a tensor's elements.</summary>
public enum TensorElementType
{
    /// <summary>32-bit floating point.</summary>
    Float32 = 0,

    /// <summary>64-bit floating point.</summary>
    Float64,

    /// <summary>16-bit floating point (IEEE 754 binary16).</summary>
    Float16,

    /// <summary>16-bit floating point with 8 bits of exponent.</summary>
    BFloat16,

    /// <summary>8-bit signed integer.</summary>
    Int8,

    /// <summary>16-bit signed integer.</summary>
    Int16,

    /// <summary>32-bit signed integer.</summary>
    Int32,

    /// <summary>64-bit signed integer.</summary>
    Int64,

    /// <summary>8-bit unsigned integer.</summary>
    UInt8,

    /// <summary>16-bit unsigned integer.</summary>
    UInt16,

    /// <summary>32-bit unsigned integer.</summary>
    UInt32,

    /// <summary>64-bit unsigned integer.</summary>
    UInt64,

    /// <summary>A byte that is 0 or 1.</summary>
    Bool,

    /// <summary>Text.</summary>
    String,
}

/// <summary>A tensor a model takes or gives.</summary>
/// <param name="Name">Its name.</param>
/// <param name="ElementType">The type of its elements.</param>
/// <param name="ItemShape">Its dimensions <em>without</em> the batch dimension, which is the first; -1 for one that varies.</param>
public sealed record TensorSpec(string Name, TensorElementType ElementType, ImmutableArray<long> ItemShape)
{
    /// <summary>Whether every dimension but the batch is fixed.</summary>
    public bool IsFixed => !ItemShape.Contains(-1);

    /// <summary>How many elements one item has; -1 if that varies.</summary>
    public long ItemLength => IsFixed ? ItemShape.Aggregate(1L, (a, b) => a * b) : -1;

    /// <summary>As <c>name: Float32[batch,3,-1]</c>.</summary>
    /// <returns>The text.</returns>
    public override string ToString() => $"{Name}: {ElementType}[{string.Join(',', ["batch", .. ItemShape.Select(d => d.ToString(System.Globalization.CultureInfo.InvariantCulture))])}]";
}

/// <summary>What a model takes and gives.</summary>
/// <param name="Inputs">The inputs, in the model's order.</param>
/// <param name="Outputs">The outputs, in the model's order.</param>
/// <param name="MaxBatchSize">The batch size the model is fixed to; <see cref="int.MaxValue"/> if it takes any.</param>
public sealed record ModelSignature(ImmutableArray<TensorSpec> Inputs, ImmutableArray<TensorSpec> Outputs, int MaxBatchSize = int.MaxValue);

/// <summary>Sizes and .NET types of tensor elements.</summary>
public static class TensorElementTypes
{
    /// <summary>The bytes of one element.</summary>
    /// <param name="type">The type.</param>
    /// <returns>The size; 0 for <see cref="TensorElementType.String"/>.</returns>
    public static int SizeOf(TensorElementType type) => type switch
    {
        TensorElementType.Float64 or TensorElementType.Int64 or TensorElementType.UInt64 => 8,
        TensorElementType.Float32 or TensorElementType.Int32 or TensorElementType.UInt32 => 4,
        TensorElementType.Float16 or TensorElementType.BFloat16 or TensorElementType.Int16 or TensorElementType.UInt16 => 2,
        TensorElementType.Int8 or TensorElementType.UInt8 or TensorElementType.Bool => 1,
        _ => 0,
    };

    /// <summary>Whether a .NET type holds the elements of a tensor type. <see cref="ushort"/> also holds <see cref="TensorElementType.BFloat16"/>, which .NET has no type for.</summary>
    /// <typeparam name="T">The .NET type.</typeparam>
    /// <param name="type">The tensor type.</param>
    /// <returns>Whether it does.</returns>
    public static bool Fits<T>(TensorElementType type) => type switch
    {
        TensorElementType.Float32 => typeof(T) == typeof(float),
        TensorElementType.Float64 => typeof(T) == typeof(double),
        TensorElementType.Float16 => typeof(T) == typeof(Half),
        TensorElementType.BFloat16 => typeof(T) == typeof(ushort),
        TensorElementType.Int8 => typeof(T) == typeof(sbyte),
        TensorElementType.Int16 => typeof(T) == typeof(short),
        TensorElementType.Int32 => typeof(T) == typeof(int),
        TensorElementType.Int64 => typeof(T) == typeof(long),
        TensorElementType.UInt8 => typeof(T) == typeof(byte),
        TensorElementType.UInt16 => typeof(T) == typeof(ushort),
        TensorElementType.UInt32 => typeof(T) == typeof(uint),
        TensorElementType.UInt64 => typeof(T) == typeof(ulong),
        TensorElementType.Bool => typeof(T) == typeof(bool),
        _ => typeof(T) == typeof(string),
    };
}
