namespace MArk.Serving.OpenInference.Protocol;

/// <summary>The protocol's names of element types.</summary>
internal static class DataTypes
{
    private static readonly (string Name, TensorElementType Type)[] All =
    [
        ("BOOL", TensorElementType.Bool),
        ("UINT8", TensorElementType.UInt8), ("UINT16", TensorElementType.UInt16), ("UINT32", TensorElementType.UInt32), ("UINT64", TensorElementType.UInt64),
        ("INT8", TensorElementType.Int8), ("INT16", TensorElementType.Int16), ("INT32", TensorElementType.Int32), ("INT64", TensorElementType.Int64),
        ("FP16", TensorElementType.Float16), ("FP32", TensorElementType.Float32), ("FP64", TensorElementType.Float64), ("BF16", TensorElementType.BFloat16),
        ("BYTES", TensorElementType.String),
    ];

    /// <summary>All names, for messages.</summary>
    public static string Accepted { get; } = string.Join(", ", All.Select(t => t.Name));

    public static string NameOf(TensorElementType type) => Array.Find(All, t => t.Type == type).Name;

    public static TensorElementType Parse(string? name, string field)
    {
        foreach (var (known, type) in All)
        {
            if (known == name)
            {
                return type;
            }
        }
        throw new WireFormatException(field, name is null ? $"it is missing; accepted: {Accepted}." : $"it is '{Shortened(name)}'; accepted: {Accepted}.");
    }

    /// <summary>A text of the other side's, short enough for a message.</summary>
    public static string Shortened(string text, int most = 64) => text.Length <= most ? text : string.Concat(text.AsSpan(0, most - 3), "...");
}
