using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;

namespace MArk.Serving;

/// <summary>One item's value for one tensor: elements and shape, without a batch dimension.</summary>
public sealed class TensorValue
{
    private readonly Array _data;

    private TensorValue(TensorElementType elementType, Array data, long[] shape)
    {
        ElementType = elementType;
        _data = data;
        Shape = shape;
    }

    /// <summary>The type of the elements.</summary>
    public TensorElementType ElementType { get; }

    /// <summary>The shape, without a batch dimension.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>How many elements.</summary>
    public int Length => _data.Length;

    /// <summary>A value over an array of the caller's, which is not copied.</summary>
    /// <typeparam name="T">A number type that fits <paramref name="elementType"/>, or <see cref="string"/>.</typeparam>
    /// <param name="elementType">The type of the elements.</param>
    /// <param name="data">The elements, row-major.</param>
    /// <param name="shape">The shape without a batch dimension; one dimension of the array's length if empty.</param>
    /// <returns>The value.</returns>
    /// <exception cref="ArgumentException">The type or the length does not fit.</exception>
    public static TensorValue Create<T>(TensorElementType elementType, T[] data, params ReadOnlySpan<long> shape)
    {
        ArgumentNullException.ThrowIfNull(data);
        if (!TensorElementTypes.Fits<T>(elementType))
        {
            throw new ArgumentException($"Elements of .NET type {typeof(T).Name} are no {elementType}.", nameof(data));
        }
        long[] dimensions = shape.IsEmpty ? [data.Length] : shape.ToArray();
        if (Product(dimensions) != data.Length)
        {
            throw new ArgumentException(
                $"{data.Length} elements do not fill the shape [{string.Join(',', dimensions)}].", nameof(data));
        }
        return new TensorValue(elementType, data, dimensions);
    }

    /// <summary>A value of zeros, or of empty strings.</summary>
    /// <param name="elementType">The type of the elements.</param>
    /// <param name="shape">The shape without a batch dimension.</param>
    /// <returns>The value.</returns>
    public static TensorValue Zeros(TensorElementType elementType, params ReadOnlySpan<long> shape)
    {
        long[] dimensions = shape.ToArray();
        var length = Product(dimensions);
        var spec = new TensorSpec("zeros", elementType, [.. dimensions]);
        if (elementType == TensorElementType.String)
        {
            var strings = new string[length];
            Array.Fill(strings, "");
            return CopyOf(new TensorItem(spec, dimensions, strings));
        }
        return CopyOf(new TensorItem(spec, dimensions, new byte[length * TensorElementTypes.SizeOf(elementType)]));
    }

    /// <summary>The elements as numbers.</summary>
    /// <typeparam name="T">The .NET type of the elements.</typeparam>
    /// <returns>The elements.</returns>
    /// <exception cref="InvalidOperationException">They are of another type.</exception>
    public ReadOnlySpan<T> As<T>() => _data is T[] data
        ? data
        : throw new InvalidOperationException($"The elements are {ElementType}, not {typeof(T).Name}.");

    /// <summary>The elements as raw bytes; empty for strings.</summary>
    /// <returns>The bytes.</returns>
    public ReadOnlySpan<byte> AsBytes() => ElementType == TensorElementType.String
        ? []
        : MemoryMarshal.CreateReadOnlySpan(ref MemoryMarshal.GetArrayDataReference(_data), _data.Length * TensorElementTypes.SizeOf(ElementType));

    /// <summary>A value that copies one item of a batch.</summary>
    /// <param name="item">The item.</param>
    /// <returns>The value.</returns>
    public static TensorValue CopyOf(TensorItem item)
    {
        Array data = item.Spec.ElementType switch
        {
            TensorElementType.Float32 => item.As<float>().ToArray(),
            TensorElementType.Float64 => item.As<double>().ToArray(),
            TensorElementType.Float16 => item.As<Half>().ToArray(),
            TensorElementType.BFloat16 or TensorElementType.UInt16 => item.As<ushort>().ToArray(),
            TensorElementType.Int8 => item.As<sbyte>().ToArray(),
            TensorElementType.Int16 => item.As<short>().ToArray(),
            TensorElementType.Int32 => item.As<int>().ToArray(),
            TensorElementType.Int64 => item.As<long>().ToArray(),
            TensorElementType.UInt8 => item.As<byte>().ToArray(),
            TensorElementType.UInt32 => item.As<uint>().ToArray(),
            TensorElementType.UInt64 => item.As<ulong>().ToArray(),
            TensorElementType.Bool => item.As<bool>().ToArray(),
            _ => item.Strings.ToArray(),
        };
        return new TensorValue(item.Spec.ElementType, data, item.Shape.ToArray());
    }

    /// <summary>As <c>Float32[3,4]</c>.</summary>
    /// <returns>The text.</returns>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{ElementType}[{string.Join(',', Shape)}]");

    private static long Product(long[] shape)
    {
        var product = 1L;
        foreach (var d in shape)
        {
            product = checked(product * d);
        }
        return product;
    }
}

/// <summary>The general form of a request or an answer: any number of named tensors for one item, in no particular order.</summary>
public sealed class NamedTensors : IEnumerable<KeyValuePair<string, TensorValue>>
{
    private readonly Dictionary<string, TensorValue> _values = new(StringComparer.Ordinal);

    /// <summary>How many tensors.</summary>
    public int Count => _values.Count;

    /// <summary>A tensor by its name.</summary>
    /// <param name="name">The name.</param>
    /// <exception cref="KeyNotFoundException">There is none of that name.</exception>
    public TensorValue this[string name]
    {
        get => _values.TryGetValue(name, out var value)
            ? value
            : throw new KeyNotFoundException($"There is no tensor '{name}'; there are: {string.Join(", ", _values.Keys)}.");
        set => _values[name] = value;
    }

    /// <summary>Adds a tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">Its value.</param>
    /// <exception cref="ArgumentException">There is one of that name.</exception>
    public void Add(string name, TensorValue value) => _values.Add(name, value);

    /// <summary>A tensor by its name, if there is one.</summary>
    /// <param name="name">The name.</param>
    /// <param name="value">The tensor.</param>
    /// <returns>Whether there is one.</returns>
    public bool TryGetValue(string name, [MaybeNullWhen(false)] out TensorValue value) => _values.TryGetValue(name, out value);

    /// <inheritdoc/>
    public IEnumerator<KeyValuePair<string, TensorValue>> GetEnumerator() => _values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
