using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace MArk.Serving.OpenInference.Protocol;

/// <summary>One tensor of a message, its elements as the protocol's binary form has them: little-endian, row-major, a string after its length in 4 bytes.</summary>
/// <param name="Name">Its name.</param>
/// <param name="ElementType">The type of its elements.</param>
/// <param name="Shape">Its dimensions, the batch first.</param>
/// <param name="Data">Its elements.</param>
internal sealed record WireTensor(string Name, TensorElementType ElementType, long[] Shape, ReadOnlyMemory<byte> Data)
{
    private const int LengthSize = sizeof(uint);

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>How many elements a shape has; -1 if they are more than can be counted.</summary>
    public static long CountOf(ReadOnlySpan<long> shape)
    {
        var count = 1L;
        foreach (var dimension in shape)
        {
            if (dimension == 0)
            {
                return 0;
            }
            count = count > long.MaxValue / dimension ? -1 : count * dimension;
            if (count < 0)
            {
                return -1;
            }
        }
        return count;
    }

    /// <summary>The elements of a tensor of strings.</summary>
    /// <exception cref="WireFormatException">One is no text: models here take strings, which hold no other bytes.</exception>
    public string[] ReadStrings()
    {
        var strings = new string[CountOf(Shape)];
        var rest = Data.Span;
        for (var i = 0; i < strings.Length; i++)
        {
            var length = (int)BinaryPrimitives.ReadUInt32LittleEndian(rest);
            try
            {
                strings[i] = Strict.GetString(rest.Slice(LengthSize, length));
            }
            catch (DecoderFallbackException e)
            {
                throw new WireFormatException(Name, $"element {i} is no UTF-8; accepted: text.", e);
            }
            rest = rest[(LengthSize + length)..];
        }
        return strings;
    }

    /// <summary>How many bytes strings take in the binary form.</summary>
    public static int SizeOf(ReadOnlySpan<string> strings)
    {
        var size = 0;
        foreach (var text in strings)
        {
            size = checked(size + LengthSize + Encoding.UTF8.GetByteCount(text));
        }
        return size;
    }

    /// <summary>Writes strings in the binary form.</summary>
    public static void Write(ReadOnlySpan<string> strings, Span<byte> target)
    {
        foreach (var text in strings)
        {
            var length = Encoding.UTF8.GetBytes(text, target[LengthSize..]);
            BinaryPrimitives.WriteUInt32LittleEndian(target, (uint)length);
            target = target[(LengthSize + length)..];
        }
    }

    /// <summary>Checks that elements in the binary form are as many as the shape says, and of values that the type has.</summary>
    /// <exception cref="WireFormatException">They are not; names the field.</exception>
    public static void Check(TensorElementType type, long count, ReadOnlySpan<byte> data, string field)
    {
        if (type == TensorElementType.String)
        {
            CheckStrings(count, data, field);
            return;
        }
        var size = TensorElementTypes.SizeOf(type);
        if (data.Length % size != 0 || data.Length / size != count)
        {
            throw new WireFormatException(field, $"it has {data.Length} bytes of data; {count} elements of {DataTypes.NameOf(type)} have {(decimal)count * size}.");
        }
        if (type == TensorElementType.Bool && data.IndexOfAnyExceptInRange((byte)0, (byte)1) is >= 0 and var index)
        {
            throw new WireFormatException(field, $"element {index} is the byte {data[index]}; accepted for BOOL: 0 and 1.");
        }
    }

    private static void CheckStrings(long count, ReadOnlySpan<byte> data, string field)
    {
        var rest = data;
        for (var i = 0L; i < count; i++)
        {
            if (rest.Length < LengthSize || BinaryPrimitives.ReadUInt32LittleEndian(rest) > (uint)(rest.Length - LengthSize))
            {
                throw new WireFormatException(field, $"its data ends within element {i} of {count}; accepted: each string after its length in 4 bytes.");
            }
            rest = rest[(LengthSize + (int)BinaryPrimitives.ReadUInt32LittleEndian(rest))..];
        }
        if (!rest.IsEmpty)
        {
            throw new WireFormatException(field, $"{rest.Length} bytes follow its {count} strings.");
        }
    }

    /// <summary>The elements, to be handed to a codec that reads them.</summary>
    public Span<byte> Bytes => MemoryMarshal.AsMemory(Data).Span;
}
