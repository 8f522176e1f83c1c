using System.Buffers.Binary;
using System.Security.Cryptography;

namespace MArk.Serving.TorchSharp;

// As bytes, version 1: 8 bytes of magic, the version (int32), the body, SHA-256 of all before it. Little-endian. The body: the interval (ticks, int64); hidden units, window and
// horizon (int32); centre and scale of the changes (double); the weights (float): input, recurrent, bias, output, output's bias.
internal sealed partial class LstmWeights
{
    public const int FormatVersion = 1;

    /// <summary>How many bytes the largest weights are.</summary>
    public static readonly int LargestBytes = SizeOf(new LstmShape(1, LstmOptions.MaxHiddenUnits, 1, WorkloadForecast.MaxHorizon));

    private const int HeaderBytes = 12;
    private const int ShapeBytes = sizeof(long) + 3 * sizeof(int);
    private const int ScaleBytes = 2 * sizeof(double);

    private static ReadOnlySpan<byte> Magic => "MArkLstm"u8;

    public byte[] ToBytes()
    {
        var bytes = new byte[SizeOf(Shape)];
        Magic.CopyTo(bytes);
        var rest = bytes.AsSpan(Magic.Length);
        Put(ref rest, FormatVersion);
        BinaryPrimitives.WriteInt64LittleEndian(rest, Shape.IntervalTicks);
        rest = rest[sizeof(long)..];
        Put(ref rest, Shape.HiddenUnits);
        Put(ref rest, Shape.Window);
        Put(ref rest, Shape.Horizon);
        BinaryPrimitives.WriteDoubleLittleEndian(rest, Centre);
        BinaryPrimitives.WriteDoubleLittleEndian(rest[sizeof(double)..], Scale);
        rest = rest[ScaleBytes..];
        foreach (var part in new[] { Input, Recurrent, Bias, Output, OutputBias })
        {
            foreach (var weight in part)
            {
                BinaryPrimitives.WriteSingleLittleEndian(rest, weight);
                rest = rest[sizeof(float)..];
            }
        }
        SHA256.HashData(bytes.AsSpan(..^SHA256.HashSizeInBytes), rest);
        return bytes;
    }

    /// <summary>Reads what <see cref="ToBytes"/> wrote.</summary>
    /// <exception cref="LstmFormatException">They are something else, of another version, cut short, damaged, or of another shape.</exception>
    public static LstmWeights FromBytes(ReadOnlySpan<byte> bytes, LstmShape accepted)
    {
        if (!bytes.StartsWith(Magic) || bytes.Length < HeaderBytes)
        {
            throw new LstmFormatException($"These {bytes.Length} bytes are no weights of an LSTM; accepted is what begins with 'MArkLstm' and a version.");
        }
        var version = BinaryPrimitives.ReadInt32LittleEndian(bytes[Magic.Length..]);
        if (version != FormatVersion)
        {
            throw new LstmFormatException(FormattableString.Invariant($"These weights of an LSTM are of version {version} of the format; accepted: {FormatVersion}."));
        }
        var end = bytes.Length - SHA256.HashSizeInBytes;
        if (end < HeaderBytes + ShapeBytes || !SHA256.HashData(bytes[..end]).AsSpan().SequenceEqual(bytes[end..]))
        {
            throw new LstmFormatException($"These weights of an LSTM, {bytes.Length} bytes, are damaged or cut short: their checksum does not hold.");
        }
        var body = bytes[HeaderBytes..end];
        var shape = new LstmShape(
            BinaryPrimitives.ReadInt64LittleEndian(body), BinaryPrimitives.ReadInt32LittleEndian(body[8..]), BinaryPrimitives.ReadInt32LittleEndian(body[12..]),
            BinaryPrimitives.ReadInt32LittleEndian(body[16..]));
        if (shape != accepted)
        {
            throw new LstmFormatException($"These weights of an LSTM are for {shape}; accepted: {accepted}.");
        }
        if (bytes.Length != SizeOf(shape))
        {
            throw new LstmFormatException($"These weights of an LSTM are {bytes.Length} bytes; accepted for {shape}: {SizeOf(shape)}.");
        }
        body = body[ShapeBytes..];
        var centre = BinaryPrimitives.ReadDoubleLittleEndian(body);
        var scale = BinaryPrimitives.ReadDoubleLittleEndian(body[sizeof(double)..]);
        body = body[ScaleBytes..];
        var (units, gates) = (shape.HiddenUnits, shape.Gates);
        var weights = new LstmWeights(
            shape, centre, scale, Take(ref body, gates), Take(ref body, gates * units), Take(ref body, gates), Take(ref body, shape.Horizon * units), Take(ref body, shape.Horizon));
        return double.IsFinite(centre) && double.IsFinite(scale) && scale > 0 && weights.IsFinite
            ? weights
            : throw new LstmFormatException("These weights of an LSTM have one that is no finite number, or a scale that is not more than 0.");
    }

    /// <summary>How many bytes weights of a shape are.</summary>
    public static int SizeOf(LstmShape shape) => HeaderBytes + ShapeBytes + ScaleBytes + sizeof(float) * shape.Weights + SHA256.HashSizeInBytes;

    private static void Put(ref Span<byte> rest, int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(rest, value);
        rest = rest[sizeof(int)..];
    }

    private static float[] Take(ref ReadOnlySpan<byte> rest, int count)
    {
        var values = new float[count];
        for (var i = 0; i < count; i++)
        {
            values[i] = BinaryPrimitives.ReadSingleLittleEndian(rest[(i * sizeof(float))..]);
        }
        rest = rest[(count * sizeof(float))..];
        return values;
    }
}
