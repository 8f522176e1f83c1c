using System.Buffers;
using System.Text.Json;

namespace MArk.Serving.OpenInference.Protocol;

/// <summary>Writes messages of the v1 form.</summary>
internal static class PredictV1Writer
{
    private static readonly JsonWriterOptions Options = new() { SkipValidation = true };

    /// <summary>Writes a request, by rows.</summary>
    public static void WriteRequest(IBufferWriter<byte> target, IReadOnlyList<WireTensor> tensors) => Write(target, tensors, isByRows: true, "instances", "inputs");

    /// <summary>Writes an answer, by rows or by columns.</summary>
    public static void WriteResponse(IBufferWriter<byte> target, IReadOnlyList<WireTensor> tensors, bool isByRows) => Write(target, tensors, isByRows, "predictions", "outputs");

    private static void Write(IBufferWriter<byte> target, IReadOnlyList<WireTensor> tensors, bool isByRows, string rows, string columns)
    {
        using var json = new Utf8JsonWriter(target, Options);
        var items = (int)tensors[0].Shape[0];
        var pieces = tensors.Select(tensor => new Pieces(tensor)).ToArray();
        json.WriteStartObject();
        if (isByRows)
        {
            json.WriteStartArray(rows);
            for (var row = 0; row < items; row++)
            {
                WriteRow(json, pieces, row);
            }
            json.WriteEndArray();
        }
        else
        {
            WriteColumns(json, pieces, items, columns);
        }
        json.WriteEndObject();
    }

    private static void WriteRow(Utf8JsonWriter json, Pieces[] tensors, int row)
    {
        if (tensors.Length == 1)
        {
            tensors[0].Write(json, row);
            return;
        }
        json.WriteStartObject();
        foreach (var tensor in tensors)
        {
            json.WritePropertyName(tensor.Name);
            tensor.Write(json, row);
        }
        json.WriteEndObject();
    }

    private static void WriteColumns(Utf8JsonWriter json, Pieces[] tensors, int items, string columns)
    {
        json.WritePropertyName(columns);
        if (tensors.Length > 1)
        {
            json.WriteStartObject();
        }
        foreach (var tensor in tensors)
        {
            if (tensors.Length > 1)
            {
                json.WritePropertyName(tensor.Name);
            }
            json.WriteStartArray();
            for (var row = 0; row < items; row++)
            {
                tensor.Write(json, row);
            }
            json.WriteEndArray();
        }
        if (tensors.Length > 1)
        {
            json.WriteEndObject();
        }
    }

    /// <summary>A tensor whose items are written one by one, nested as their shape says.</summary>
    private sealed class Pieces(WireTensor tensor)
    {
        private readonly long[] _shape = tensor.Shape[1..];
        private readonly int[]? _starts = tensor.ElementType == TensorElementType.String ? StartsOf(tensor) : null;
        private readonly int _size = TensorElementTypes.SizeOf(tensor.ElementType);

        public string Name => tensor.Name;

        public void Write(Utf8JsonWriter json, int row)
        {
            var length = (int)WireTensor.CountOf(_shape);
            var first = row * length;
            WriteNested(json, 0, ref first);
        }

        private void WriteNested(Utf8JsonWriter json, int dimension, ref int element)
        {
            if (dimension == _shape.Length)
            {
                JsonElements.Write(json, tensor.ElementType, Slice(element, 1));
                element++;
                return;
            }
            json.WriteStartArray();
            if (dimension == _shape.Length - 1)
            {
                var length = (int)_shape[dimension];
                JsonElements.Write(json, tensor.ElementType, Slice(element, length));
                element += length;
            }
            else
            {
                for (var i = 0L; i < _shape[dimension]; i++)
                {
                    WriteNested(json, dimension + 1, ref element);
                }
            }
            json.WriteEndArray();
        }

        private ReadOnlySpan<byte> Slice(int first, int count) => _starts is null
            ? tensor.Data.Span.Slice(first * _size, count * _size)
            : tensor.Data.Span[_starts[first].._starts[first + count]];

        private static int[] StartsOf(WireTensor tensor)
        {
            var starts = new int[WireTensor.CountOf(tensor.Shape) + 1];
            for (var i = 1; i < starts.Length; i++)
            {
                var length = System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(tensor.Data.Span[starts[i - 1]..]);
                starts[i] = starts[i - 1] + sizeof(uint) + (int)length;
            }
            return starts;
        }
    }
}
