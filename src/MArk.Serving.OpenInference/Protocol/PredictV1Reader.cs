using System.Runtime.InteropServices;
using System.Text.Json;

namespace MArk.Serving.OpenInference.Protocol;

/// <summary>
/// Reads messages of the v1 form: by rows, <c>{"instances": [item, ...]}</c>, or by columns, <c>{"inputs": {"name": [item, ...]}}</c>; where there is one tensor, its name may be left out. Of an answer
/// the words are <c>predictions</c> and <c>outputs</c>.
/// </summary>
internal sealed class PredictV1Reader(WireLimits limits)
{
    private readonly JsonDocumentOptions _options = new() { MaxDepth = limits.MaxRank + 8 };

    /// <summary>Reads a request.</summary>
    /// <exception cref="WireFormatException">It is none of the model's; names the field and what is accepted.</exception>
    public InferMessage ReadRequest(ReadOnlyMemory<byte> body, IReadOnlyList<TensorSpec> specs, out bool isByRows) => Read(body, specs, "instances", "inputs", out isByRows);

    /// <summary>Reads an answer, likewise.</summary>
    /// <exception cref="WireFormatException">It is none of the model's; names the field and what is accepted.</exception>
    public InferMessage ReadResponse(ReadOnlyMemory<byte> body, IReadOnlyList<TensorSpec> specs) => Read(body, specs, "predictions", "outputs", out _);

    private InferMessage Read(ReadOnlyMemory<byte> body, IReadOnlyList<TensorSpec> specs, string rows, string columns, out bool isByRows)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(body, _options);
        }
        catch (JsonException e)
        {
            throw new WireFormatException("body", $"it is no valid JSON: {e.Message}", e);
        }
        using (document)
        {
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                throw new WireFormatException("body", $"it is {root.ValueKind}; accepted: an object with {rows} or {columns}.");
            }
            var message = new InferMessage();
            try
            {
                isByRows = root.TryGetProperty(rows, out var items);
                if (isByRows)
                {
                    ReadRows(message, items, specs, rows);
                }
                else if (root.TryGetProperty(columns, out items))
                {
                    ReadColumns(message, items, specs, columns);
                }
                else
                {
                    throw new WireFormatException("body", $"it has neither {rows} nor {columns}.");
                }
                return message;
            }
            catch
            {
                message.Dispose();
                throw;
            }
        }
    }

    private void ReadRows(InferMessage message, JsonElement items, IReadOnlyList<TensorSpec> specs, string field)
    {
        var count = CountOf(items, field);
        for (var i = 0; i < specs.Count; i++)
        {
            var spec = specs[i];
            var row = 0;
            var values = new JsonElement[count];
            foreach (var item in items.EnumerateArray())
            {
                values[row] = ValueOf(item, spec, specs.Count, $"{field}[{row}]");
                row++;
            }
            message.Tensors.Add(Stack(message, values, spec, field));
        }
    }

    private static JsonElement ValueOf(JsonElement item, TensorSpec spec, int tensors, string field)
    {
        if (item.ValueKind == JsonValueKind.Object && item.TryGetProperty(spec.Name, out var value))
        {
            return value;
        }
        return tensors == 1 && (item.ValueKind != JsonValueKind.Object || spec.ElementType == TensorElementType.String)
            ? item
            : throw new WireFormatException(field, $"it has no '{spec.Name}'; accepted: an object with each of the model's tensors.");
    }

    private void ReadColumns(InferMessage message, JsonElement columns, IReadOnlyList<TensorSpec> specs, string field)
    {
        foreach (var spec in specs)
        {
            JsonElement column;
            if (columns.ValueKind == JsonValueKind.Object)
            {
                if (!columns.TryGetProperty(spec.Name, out column))
                {
                    throw new WireFormatException($"{field}.{spec.Name}", "it is missing; accepted: an array of items.");
                }
            }
            else
            {
                column = specs.Count == 1 ? columns : throw new WireFormatException(field, $"it is {columns.ValueKind}; accepted: an object with each of the model's tensors.");
            }
            CountOf(column, $"{field}.{spec.Name}");
            message.Tensors.Add(Stack(message, [.. column.EnumerateArray()], spec, $"{field}.{spec.Name}"));
        }
    }

    private int CountOf(JsonElement items, string field)
    {
        if (items.ValueKind != JsonValueKind.Array || items.GetArrayLength() is 0 || items.GetArrayLength() > limits.MaxItems)
        {
            throw new WireFormatException(field, $"it is {(items.ValueKind == JsonValueKind.Array ? $"an array of {items.GetArrayLength()}" : items.ValueKind)}; accepted: an array of 1 to {limits.MaxItems} items.");
        }
        return items.GetArrayLength();
    }

    /// <summary>Items of one shape, one after the other.</summary>
    private WireTensor Stack(InferMessage message, JsonElement[] items, TensorSpec spec, string field)
    {
        var shape = ShapeOf(items[0], spec, field);
        var count = WireTensor.CountOf(shape);
        var json = items.Sum(item => (long)JsonMarshal.GetRawUtf8Value(item).Length);
        if (count < 0 || count * items.Length > json)
        {
            throw new WireFormatException(field, $"it has fewer elements than items of the shape [{string.Join(',', shape)}].");
        }
        var target = message.Rent(checked((int)(spec.ElementType == TensorElementType.String ? json + count * items.Length * sizeof(uint) : count * items.Length * TensorElementTypes.SizeOf(spec.ElementType))));
        var written = 0;
        for (var i = 0; i < items.Length; i++)
        {
            written += ReadItem(items[i], spec.ElementType, count, target.Span[written..], $"{field}[{i}]");
        }
        return new WireTensor(spec.Name, spec.ElementType, [items.Length, .. shape], target[..written]);
    }

    private int ReadItem(JsonElement item, TensorElementType type, long count, Span<byte> target, string field)
    {
        try
        {
            return JsonElements.Read(JsonMarshal.GetRawUtf8Value(item), _options.MaxDepth, type, count, target, field);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new WireFormatException(field, $"it is no valid JSON: {e.Message}", e);
        }
    }

    /// <summary>The shape of an item: as declared, with open dimensions as long as the arrays there are.</summary>
    private static long[] ShapeOf(JsonElement item, TensorSpec spec, string field)
    {
        var shape = spec.ItemShape.ToArray();
        var inner = item;
        for (var d = 0; d < shape.Length; d++)
        {
            if (inner.ValueKind != JsonValueKind.Array)
            {
                throw new WireFormatException(field, $"its items are nested {d} deep; accepted: {shape.Length}, as the model declares {spec}.");
            }
            var length = inner.GetArrayLength();
            if (shape[d] >= 0 && shape[d] != length)
            {
                throw new WireFormatException(field, $"dimension {d} of its items is {length}; the model declares {spec}.");
            }
            shape[d] = length;
            if (length == 0)
            {
                shape.AsSpan(d).Replace(-1, 0);
                break;
            }
            inner = inner[0];
        }
        return shape;
    }
}
