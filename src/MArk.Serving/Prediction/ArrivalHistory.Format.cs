using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;

namespace MArk.Serving.Prediction;

// As bytes, version 1: 8 bytes of magic, the version (int32), the body, SHA-256 of all before it. Little-endian. The body, numbers of 7 bits a byte, the low ones
// first: when the last slot ended (UTC ticks); the number of hours, and each; the number of minutes, and each. Each: how far it is after the one before, what was not
// counted of it (ticks, mostly 0), its requests and, if there were any, its peak (a double).
public sealed partial class ArrivalHistory
{
    /// <summary>The version of the format that is written, and the only one that is read.</summary>
    public const int FormatVersion = 1;

    private const int HeaderBytes = 12;

    private static ReadOnlySpan<byte> Magic => "MArkHist"u8;

    /// <summary>All of it, with a version and a checksum: about 12 bytes a minute.</summary>
    /// <returns>Bytes that <see cref="FromBytes"/> reads.</returns>
    public byte[] ToBytes()
    {
        var writer = new ArrayBufferWriter<byte>(HeaderBytes + 16 * (Hours + Minutes + 4));
        writer.Write(Magic);
        BinaryPrimitives.WriteInt32LittleEndian(writer.GetSpan(sizeof(int)), FormatVersion);
        writer.Advance(sizeof(int));
        Write(writer, _end);
        Write(writer, _hours.Count);
        var before = -1L;
        foreach (var hour in _hours)
        {
            Write(writer, hour, TimeSpan.TicksPerHour, ref before);
        }
        Write(writer, Minutes);
        before = -1;
        foreach (var minute in _minutes)
        {
            Write(writer, minute, TimeSpan.TicksPerMinute, ref before);
        }
        if (_open.Counted > 0)
        {
            Write(writer, _open, TimeSpan.TicksPerMinute, ref before);
        }
        writer.Write(SHA256.HashData(writer.WrittenSpan));
        return writer.WrittenSpan.ToArray();
    }

    /// <summary>Reads what <see cref="ToBytes"/> wrote.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="maxMinutes">How many minutes are kept at most; 60 to 1000000.</param>
    /// <param name="maxHours">How many hours are kept at most of what is older than those; 0 to 1000000.</param>
    /// <returns>The history, as far as it fits.</returns>
    /// <exception cref="ArrivalHistoryFormatException">They are something else, of another version, cut short or damaged.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number is outside its range.</exception>
    public static ArrivalHistory FromBytes(ReadOnlySpan<byte> bytes, int maxMinutes = DefaultMaxMinutes, int maxHours = DefaultMaxHours)
    {
        var history = new ArrivalHistory(maxMinutes, maxHours);
        if (bytes.Length < HeaderBytes || !bytes.StartsWith(Magic))
        {
            throw new ArrivalHistoryFormatException($"These {bytes.Length} bytes are no arrival history; accepted is what begins with 'MArkHist'.");
        }
        var version = BinaryPrimitives.ReadInt32LittleEndian(bytes[Magic.Length..]);
        if (version != FormatVersion)
        {
            throw new ArrivalHistoryFormatException(FormattableString.Invariant($"This arrival history is of version {version} of the format; accepted: {FormatVersion}."));
        }
        var body = bytes.Length - SHA256.HashSizeInBytes;
        if (body < HeaderBytes || !SHA256.HashData(bytes[..body]).AsSpan().SequenceEqual(bytes[body..]))
        {
            throw new ArrivalHistoryFormatException($"This arrival history of {bytes.Length} bytes is damaged or cut short: its checksum does not hold.");
        }
        var reader = new Reader(bytes[HeaderBytes..body]);
        history.Read(ref reader);
        return history;
    }

    private void Read(ref Reader reader)
    {
        var end = reader.Number(DateTimeOffset.MaxValue.UtcTicks - TimeSpan.TicksPerHour);
        var hours = reader.Number(int.MaxValue);
        var before = -1L;
        for (var i = 0L; i < hours; i++)
        {
            AddHour(reader.Bucket(TimeSpan.TicksPerHour, end, ref before));
        }
        var lastHour = before;
        var minutes = reader.Number(int.MaxValue);
        before = -1;
        for (var i = 0L; i < minutes; i++)
        {
            var minute = reader.Bucket(TimeSpan.TicksPerMinute, end, ref before);
            if (minute.Index / 60 <= lastHour)
            {
                throw Reader.Nonsense("a minute that is in its hours already");
            }
            Count(minute);
        }
        if (!reader.IsAtEnd)
        {
            throw Reader.Nonsense("more than its numbers say");
        }
        _end = end;
    }

    private static void Write(ArrayBufferWriter<byte> writer, in Bucket bucket, long length, ref long before)
    {
        Write(writer, bucket.Index - before - 1);
        Write(writer, length - bucket.Counted);
        Write(writer, bucket.Requests);
        if (bucket.Requests > 0)
        {
            BinaryPrimitives.WriteDoubleLittleEndian(writer.GetSpan(sizeof(double)), bucket.Peak);
            writer.Advance(sizeof(double));
        }
        before = bucket.Index;
    }

    private static void Write(ArrayBufferWriter<byte> writer, long number)
    {
        var rest = (ulong)number;
        for (; rest >= 0x80; rest >>= 7)
        {
            Put(writer, (byte)(rest | 0x80));
        }
        Put(writer, (byte)rest);

        static void Put(ArrayBufferWriter<byte> writer, byte value)
        {
            writer.GetSpan(1)[0] = value;
            writer.Advance(1);
        }
    }

    /// <summary>Reads the body, and believes nothing in it.</summary>
    private ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        private ReadOnlySpan<byte> _rest = bytes;

        public readonly bool IsAtEnd => _rest.IsEmpty;

        public static ArrivalHistoryFormatException Nonsense(string what) => new($"This arrival history has {what}: it was not written by ArrivalHistory.ToBytes.");

        public long Number(long most)
        {
            var value = 0UL;
            for (var shift = 0; shift < 63; shift += 7)
            {
                var part = Take(1)[0];
                value |= (ulong)(part & 0x7F) << shift;
                if (part < 0x80)
                {
                    return value <= (ulong)most ? (long)value : throw Nonsense(FormattableString.Invariant($"a {value} where at most {most} can be"));
                }
            }
            throw Nonsense("a number of more than 63 bits");
        }

        public Bucket Bucket(long length, long end, ref long before)
        {
            // Nothing begins after the last slot has ended.
            var index = before + 1 + Number(end / length);
            var counted = length - Number(length - 1);
            var requests = Number(long.MaxValue);
            var peak = requests > 0 ? BinaryPrimitives.ReadDoubleLittleEndian(Take(sizeof(double))) : 0;
            if (index * length >= end || !double.IsFinite(peak) || peak < 0)
            {
                throw Nonsense("a time after its end, or a rate that is none");
            }
            before = index;
            return new Bucket(index, counted, requests, peak);
        }

        private ReadOnlySpan<byte> Take(int count)
        {
            if (_rest.Length < count)
            {
                throw Nonsense("less than its numbers say");
            }
            var taken = _rest[..count];
            _rest = _rest[count..];
            return taken;
        }
    }
}
