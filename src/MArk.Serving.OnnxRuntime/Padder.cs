using System.Runtime.InteropServices;

namespace MArk.Serving.OnnxRuntime;

/// <summary>
/// Moves an item between its own shape and the padded one, in place. In its own shape it lies densely at the start of its part of the
/// batch, where the codec writes and reads it.
/// </summary>
internal static class Padder
{
    /// <summary>The start of an item's part, in the item's own shape.</summary>
    public static TensorItem Head(TensorItem padded, ReadOnlySpan<long> own)
    {
        var length = checked((int)Product(own));
        return padded.Spec.ElementType == TensorElementType.String
            ? new TensorItem(padded.Spec, own, padded.Strings[..length])
            : new TensorItem(padded.Spec, own, padded.Bytes[..(length * TensorElementTypes.SizeOf(padded.Spec.ElementType))]);
    }

    /// <summary>Spreads an item from its own shape to the padded one, and fills what is beyond.</summary>
    public static void Spread(TensorItem padded, ReadOnlySpan<long> own, ulong fill)
    {
        switch (TensorElementTypes.SizeOf(padded.Spec.ElementType))
        {
            case 1:
                Spread(padded.Bytes, own, padded.Shape, (byte)fill);
                break;
            case 2:
                Spread(MemoryMarshal.Cast<byte, ushort>(padded.Bytes), own, padded.Shape, (ushort)fill);
                break;
            case 4:
                Spread(MemoryMarshal.Cast<byte, uint>(padded.Bytes), own, padded.Shape, (uint)fill);
                break;
            case 8:
                Spread(MemoryMarshal.Cast<byte, ulong>(padded.Bytes), own, padded.Shape, fill);
                break;
            default:
                Spread(padded.Strings, own, padded.Shape, "");
                break;
        }
    }

    /// <summary>Fills a mask: its element within the item's own shape, and 0 beyond.</summary>
    public static void Mark(TensorItem padded, ReadOnlySpan<long> own, ulong one)
    {
        var head = Head(padded, own).Bytes;
        switch (TensorElementTypes.SizeOf(padded.Spec.ElementType))
        {
            case 1:
                head.Fill((byte)one);
                break;
            case 2:
                MemoryMarshal.Cast<byte, ushort>(head).Fill((ushort)one);
                break;
            case 4:
                MemoryMarshal.Cast<byte, uint>(head).Fill((uint)one);
                break;
            default:
                MemoryMarshal.Cast<byte, ulong>(head).Fill(one);
                break;
        }
        Spread(padded, own, fill: 0);
    }

    /// <summary>Gathers an item from the padded shape into its own.</summary>
    public static void Cut(TensorItem padded, ReadOnlySpan<long> own)
    {
        switch (TensorElementTypes.SizeOf(padded.Spec.ElementType))
        {
            case 1:
                Cut(padded.Bytes, own, padded.Shape);
                break;
            case 2:
                Cut(MemoryMarshal.Cast<byte, ushort>(padded.Bytes), own, padded.Shape);
                break;
            case 4:
                Cut(MemoryMarshal.Cast<byte, uint>(padded.Bytes), own, padded.Shape);
                break;
            case 8:
                Cut(MemoryMarshal.Cast<byte, ulong>(padded.Bytes), own, padded.Shape);
                break;
            default:
                Cut(padded.Strings, own, padded.Shape);
                break;
        }
    }

    private static long Product(ReadOnlySpan<long> dimensions)
    {
        var product = 1L;
        foreach (var dimension in dimensions)
        {
            product = checked(product * dimension);
        }
        return product;
    }

    // From the last run to the first: a run never moves towards the start, so none lands on one that is still to be moved.
    private static void Spread<T>(Span<T> values, ReadOnlySpan<long> own, ReadOnlySpan<long> padded, T fill)
    {
        var runs = new Runs(own, padded);
        var end = values.Length;
        for (var run = runs.Count - 1; run >= 0; run--)
        {
            var start = runs.StartOf(run);
            if (run > 0)
            {
                values.Slice(run * runs.Length, runs.Length).CopyTo(values[start..]);
            }
            values[(start + runs.Length)..end].Fill(fill);
            end = start;
        }
        values[..end].Fill(fill);
    }

    private static void Cut<T>(Span<T> values, ReadOnlySpan<long> own, ReadOnlySpan<long> padded)
    {
        var runs = new Runs(own, padded);
        for (var run = 1; run < runs.Count; run++)
        {
            values.Slice(runs.StartOf(run), runs.Length).CopyTo(values[(run * runs.Length)..]);
        }
    }

    /// <summary>The stretches of an item that lie densely in both shapes.</summary>
    private readonly ref struct Runs
    {
        private readonly ReadOnlySpan<long> _own;
        private readonly ReadOnlySpan<long> _padded;
        private readonly int _outer;
        private readonly long _stride;

        public Runs(ReadOnlySpan<long> own, ReadOnlySpan<long> padded)
        {
            _own = own;
            _padded = padded;
            for (_outer = own.Length - 1; _outer > 0 && own[_outer] == padded[_outer]; _outer--)
            {
            }
            Count = checked((int)Product(own[..Math.Max(_outer, 0)]));
            Length = checked((int)Product(own[Math.Max(_outer, 0)..]));
            _stride = Product(padded[Math.Max(_outer, 0)..]);
        }

        public int Count { get; }

        public int Length { get; }

        /// <summary>Where a run starts in the padded shape.</summary>
        public int StartOf(int run)
        {
            var (start, stride) = (0L, _stride);
            for (var d = _outer - 1; d >= 0; d--)
            {
                start += run % _own[d] * stride;
                run /= (int)_own[d];
                stride *= _padded[d];
            }
            return (int)start;
        }
    }
}
