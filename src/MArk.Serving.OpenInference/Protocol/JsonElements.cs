using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace MArk.Serving.OpenInference.Protocol;

/// <summary>Elements of tensors between JSON and the binary form. Numbers that JSON has not are the strings NaN, Infinity and -Infinity.</summary>
internal static class JsonElements
{
    /// <summary>The most bytes that the elements written in a piece of JSON can have in the binary form.</summary>
    public static int MostBytes(TensorElementType type, long count, int jsonLength) =>
        type == TensorElementType.String ? checked((int)(jsonLength + count * sizeof(uint))) : checked((int)(count * TensorElementTypes.SizeOf(type)));

    /// <summary>Reads an array of elements, nested or flat.</summary>
    /// <param name="json">The array.</param>
    /// <param name="maxDepth">How deep it may be nested.</param>
    /// <param name="type">The type of the elements.</param>
    /// <param name="count">How many there must be.</param>
    /// <param name="target">Where they go, in the binary form.</param>
    /// <param name="field">What to name in an error.</param>
    /// <returns>How many bytes were written.</returns>
    public static int Read(ReadOnlySpan<byte> json, int maxDepth, TensorElementType type, long count, Span<byte> target, string field)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = maxDepth });
        var (read, written) = (0L, 0);
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.StartArray or JsonTokenType.EndArray)
            {
                continue;
            }
            if (read == count)
            {
                throw new WireFormatException(field, $"it has more elements than the {count} of its shape.");
            }
            written += ReadOne(ref reader, type, target[written..], field, read);
            read++;
        }
        return read == count ? written : throw new WireFormatException(field, $"it has {read} elements; its shape has {count}.");
    }

    private static int ReadOne(ref Utf8JsonReader reader, TensorElementType type, Span<byte> target, string field, long index)
    {
        if (type == TensorElementType.String)
        {
            return reader.TokenType == JsonTokenType.String ? ReadString(ref reader, target) : throw Misfit(ref reader, type, field, index);
        }
        var fits = false;
        switch (type)
        {
            case TensorElementType.Float32:
                fits = TryReadFloat(ref reader, out var single);
                BinaryPrimitives.WriteSingleLittleEndian(target, single);
                break;
            case TensorElementType.Float64:
                fits = TryReadDouble(ref reader, out var number);
                BinaryPrimitives.WriteDoubleLittleEndian(target, number);
                break;
            case TensorElementType.Float16:
                fits = TryReadDouble(ref reader, out var half) && (double.IsFinite(half) == Half.IsFinite((Half)half));
                BinaryPrimitives.WriteHalfLittleEndian(target, (Half)half);
                break;
            case TensorElementType.BFloat16:
                fits = TryReadFloat(ref reader, out var brain);
                BinaryPrimitives.WriteUInt16LittleEndian(target, (ushort)(BitConverter.SingleToUInt32Bits(brain) >> 16));
                break;
            case TensorElementType.Bool:
                fits = reader.TokenType is JsonTokenType.True or JsonTokenType.False;
                target[0] = reader.TokenType == JsonTokenType.True ? (byte)1 : (byte)0;
                break;
            case TensorElementType.UInt64:
                ulong large = 0;
                fits = reader.TokenType == JsonTokenType.Number && reader.TryGetUInt64(out large);
                BinaryPrimitives.WriteUInt64LittleEndian(target, large);
                break;
            default:
                long integer = 0;
                fits = reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out integer) && TryWriteInteger(type, integer, target);
                break;
        }
        return fits ? TensorElementTypes.SizeOf(type) : throw Misfit(ref reader, type, field, index);
    }

    private static bool TryWriteInteger(TensorElementType type, long value, Span<byte> target)
    {
        switch (type)
        {
            case TensorElementType.Int8:
                target[0] = (byte)value;
                return value is >= sbyte.MinValue and <= sbyte.MaxValue;
            case TensorElementType.UInt8:
                target[0] = (byte)value;
                return value is >= byte.MinValue and <= byte.MaxValue;
            case TensorElementType.Int16:
                BinaryPrimitives.WriteInt16LittleEndian(target, (short)value);
                return value is >= short.MinValue and <= short.MaxValue;
            case TensorElementType.UInt16:
                BinaryPrimitives.WriteUInt16LittleEndian(target, (ushort)value);
                return value is >= ushort.MinValue and <= ushort.MaxValue;
            case TensorElementType.Int32:
                BinaryPrimitives.WriteInt32LittleEndian(target, (int)value);
                return value is >= int.MinValue and <= int.MaxValue;
            case TensorElementType.UInt32:
                BinaryPrimitives.WriteUInt32LittleEndian(target, (uint)value);
                return value is >= uint.MinValue and <= uint.MaxValue;
            default:
                BinaryPrimitives.WriteInt64LittleEndian(target, value);
                return true;
        }
    }

    private static bool TryReadFloat(ref Utf8JsonReader reader, out float value)
    {
        value = 0;
        if (reader.TokenType == JsonTokenType.Number)
        {
            return reader.TryGetSingle(out value) && float.IsFinite(value);
        }
        var isNamed = TryReadNamed(ref reader, out var named);
        value = (float)named;
        return isNamed;
    }

    private static bool TryReadDouble(ref Utf8JsonReader reader, out double value)
    {
        value = 0;
        return reader.TokenType == JsonTokenType.Number ? reader.TryGetDouble(out value) && double.IsFinite(value) : TryReadNamed(ref reader, out value);
    }

    private static bool TryReadNamed(ref Utf8JsonReader reader, out double value)
    {
        value = double.NaN;
        if (reader.TokenType != JsonTokenType.String)
        {
            return false;
        }
        if (reader.ValueTextEquals("Infinity"u8))
        {
            value = double.PositiveInfinity;
            return true;
        }
        if (reader.ValueTextEquals("-Infinity"u8))
        {
            value = double.NegativeInfinity;
            return true;
        }
        return reader.ValueTextEquals("NaN"u8);
    }

    private static int ReadString(ref Utf8JsonReader reader, Span<byte> target)
    {
        var length = reader.CopyString(target[sizeof(uint)..]);
        BinaryPrimitives.WriteUInt32LittleEndian(target, (uint)length);
        return sizeof(uint) + length;
    }

    private static WireFormatException Misfit(ref Utf8JsonReader reader, TensorElementType type, string field, long index)
    {
        var accepted = type switch
        {
            TensorElementType.String => "a string",
            TensorElementType.Bool => "true and false",
            TensorElementType.Float16 or TensorElementType.BFloat16 or TensorElementType.Float32 or TensorElementType.Float64 => "a number within its range, or one of the strings NaN, Infinity and -Infinity",
            _ => "an integer within its range",
        };
        var was = reader.TokenType switch
        {
            JsonTokenType.Number => DataTypes.Shortened(System.Text.Encoding.UTF8.GetString(reader.ValueSpan)),
            JsonTokenType.String => "a string",
            JsonTokenType.True or JsonTokenType.False => "a truth value",
            JsonTokenType.Null => "null",
            _ => "an object",
        };
        return new WireFormatException(field, $"element {index} is {was}; accepted for {DataTypes.NameOf(type)}: {accepted}.");
    }

    /// <summary>Writes the elements of a tensor, from the binary form, one after the other.</summary>
    public static void Write(Utf8JsonWriter json, TensorElementType type, ReadOnlySpan<byte> data)
    {
        switch (type)
        {
            case TensorElementType.Float32:
                foreach (var value in MemoryMarshal.Cast<byte, float>(data))
                {
                    WriteFloat(json, value);
                }
                break;
            case TensorElementType.Float64:
                foreach (var value in MemoryMarshal.Cast<byte, double>(data))
                {
                    WriteDouble(json, value);
                }
                break;
            case TensorElementType.Float16:
                foreach (var value in MemoryMarshal.Cast<byte, Half>(data))
                {
                    WriteFloat(json, (float)value);
                }
                break;
            case TensorElementType.BFloat16:
                foreach (var value in MemoryMarshal.Cast<byte, ushort>(data))
                {
                    WriteFloat(json, BitConverter.UInt32BitsToSingle((uint)value << 16));
                }
                break;
            case TensorElementType.Bool:
                foreach (var value in data)
                {
                    json.WriteBooleanValue(value != 0);
                }
                break;
            case TensorElementType.String:
                while (!data.IsEmpty)
                {
                    var length = (int)BinaryPrimitives.ReadUInt32LittleEndian(data);
                    json.WriteStringValue(data.Slice(sizeof(uint), length));
                    data = data[(sizeof(uint) + length)..];
                }
                break;
            default:
                WriteIntegers(json, type, data);
                break;
        }
    }

    private static void WriteIntegers(Utf8JsonWriter json, TensorElementType type, ReadOnlySpan<byte> data)
    {
        var size = TensorElementTypes.SizeOf(type);
        for (; !data.IsEmpty; data = data[size..])
        {
            if (type == TensorElementType.UInt64)
            {
                json.WriteNumberValue(BinaryPrimitives.ReadUInt64LittleEndian(data));
                continue;
            }
            json.WriteNumberValue(type switch
            {
                TensorElementType.Int8 => (sbyte)data[0],
                TensorElementType.UInt8 => data[0],
                TensorElementType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(data),
                TensorElementType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(data),
                TensorElementType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(data),
                TensorElementType.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(data),
                _ => BinaryPrimitives.ReadInt64LittleEndian(data),
            });
        }
    }

    private static void WriteFloat(Utf8JsonWriter json, float value)
    {
        if (float.IsFinite(value))
        {
            json.WriteNumberValue(value);
        }
        else
        {
            WriteNamed(json, value);
        }
    }

    private static void WriteDouble(Utf8JsonWriter json, double value)
    {
        if (double.IsFinite(value))
        {
            json.WriteNumberValue(value);
        }
        else
        {
            WriteNamed(json, value);
        }
    }

    private static void WriteNamed(Utf8JsonWriter json, double value) =>
        json.WriteStringValue(double.IsNaN(value) ? "NaN"u8 : value > 0 ? "Infinity"u8 : "-Infinity"u8);
}
