using System.Text.Json;

namespace MArk.Serving.OpenInference.Protocol;

/// <summary>Reads requests and answers of the REST form: JSON, and tensors in the binary form after it. What a message says its size is, is believed only as far as its bytes go.</summary>
internal sealed class InferMessageReader(WireLimits limits)
{
    // What may be nested around the elements of a tensor: message, tensors, tensor.
    private const int DepthAroundData = 8;

    private readonly JsonReaderOptions _options = new() { MaxDepth = limits.MaxRank + DepthAroundData };

    /// <summary>Reads a request.</summary>
    /// <param name="body">The whole body. Tensors in the binary form go on lying in it.</param>
    /// <param name="headerLength">How many bytes of it are JSON; all, if nothing is said.</param>
    /// <exception cref="WireFormatException">It is no request; names the field and what is accepted.</exception>
    public InferMessage ReadRequest(ReadOnlyMemory<byte> body, int? headerLength) => Read(body, headerLength, isRequest: true);

    /// <summary>Reads an answer, likewise.</summary>
    /// <exception cref="WireFormatException">It is no answer; names the field and what is accepted.</exception>
    public InferMessage ReadResponse(ReadOnlyMemory<byte> body, int? headerLength) => Read(body, headerLength, isRequest: false);

    private InferMessage Read(ReadOnlyMemory<byte> body, int? headerLength, bool isRequest)
    {
        if (headerLength is { } length && (length < 1 || length > body.Length))
        {
            throw new WireFormatException("Inference-Header-Content-Length", $"it is {length}; accepted: 1 to the {body.Length} bytes of the body.");
        }
        var message = new InferMessage();
        try
        {
            var header = headerLength ?? body.Length;
            var rest = ReadHeader(body[..header], body[header..], message, isRequest);
            return rest.IsEmpty ? message : throw new WireFormatException("body", $"{rest.Length} bytes follow the last tensor.");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            message.Dispose();
            throw new WireFormatException("body", $"it is no valid JSON: {e.Message}", e);
        }
        catch (OverflowException e)
        {
            message.Dispose();
            throw new WireFormatException("body", "a tensor of it has more bytes than can be addressed.", e);
        }
        catch
        {
            message.Dispose();
            throw;
        }
    }

    /// <returns>What is left of the binary part.</returns>
    private ReadOnlyMemory<byte> ReadHeader(ReadOnlyMemory<byte> header, ReadOnlyMemory<byte> binary, InferMessage message, bool isRequest)
    {
        var reader = new Utf8JsonReader(header.Span, _options);
        RequireStart(ref reader, JsonTokenType.StartObject, "body", "an object");
        var hasTensors = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("id"u8))
            {
                message.Id = ReadString(ref reader, "id");
            }
            else if (reader.ValueTextEquals("model_name"u8))
            {
                message.ModelName = ReadString(ref reader, "model_name");
            }
            else if (reader.ValueTextEquals("model_version"u8))
            {
                message.ModelVersion = ReadString(ref reader, "model_version");
            }
            else if (isRequest && reader.ValueTextEquals("parameters"u8))
            {
                ReadRequestParameters(ref reader, message);
            }
            else if (isRequest && reader.ValueTextEquals("outputs"u8))
            {
                ReadRequestedOutputs(ref reader, message);
            }
            else if (reader.ValueTextEquals(isRequest ? "inputs"u8 : "outputs"u8))
            {
                var field = isRequest ? "inputs" : "outputs";
                if (hasTensors)
                {
                    throw new WireFormatException(field, "it is there twice.");
                }
                hasTensors = true;
                binary = ReadTensors(ref reader, header, binary, message, field);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
        // Anything after the object is no JSON.
        reader.Read();
        return hasTensors || !isRequest ? binary : throw new WireFormatException("inputs", "it is missing; accepted: an array of tensors.");
    }

    private ReadOnlyMemory<byte> ReadTensors(ref Utf8JsonReader reader, ReadOnlyMemory<byte> header, ReadOnlyMemory<byte> binary, InferMessage message, string field)
    {
        RequireStart(ref reader, JsonTokenType.StartArray, field, "an array of tensors");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var name = $"{field}[{message.Tensors.Count}]";
            RequireRoom(message.Tensors.Count, field);
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                throw new WireFormatException(name, "it is no object; accepted: an object with name, shape, datatype and data.");
            }
            var fields = ReadTensor(ref reader, name);
            if (message.Tensors.Exists(t => t.Name == fields.Name))
            {
                throw new WireFormatException($"{name}.name", $"there is a tensor '{DataTypes.Shortened(fields.Name!)}' before; accepted: each once.");
            }
            message.Tensors.Add(Complete(fields, header, ref binary, message, name));
        }
        return binary;
    }

    private TensorFields ReadTensor(ref Utf8JsonReader reader, string name)
    {
        var fields = new TensorFields();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("name"u8))
            {
                fields.Name = ReadString(ref reader, $"{name}.name");
            }
            else if (reader.ValueTextEquals("datatype"u8))
            {
                fields.Type = ReadString(ref reader, $"{name}.datatype");
            }
            else if (reader.ValueTextEquals("shape"u8))
            {
                fields.Shape = ReadShape(ref reader, $"{name}.shape");
            }
            else if (reader.ValueTextEquals("parameters"u8))
            {
                fields.BinarySize = ReadBinarySize(ref reader, $"{name}.parameters");
            }
            else if (reader.ValueTextEquals("data"u8))
            {
                // Read when type and shape are known, which may come after it.
                RequireStart(ref reader, JsonTokenType.StartArray, $"{name}.data", "an array");
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                fields.Data = start..(int)reader.BytesConsumed;
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
        return fields;
    }

    private WireTensor Complete(in TensorFields fields, ReadOnlyMemory<byte> header, ref ReadOnlyMemory<byte> binary, InferMessage message, string name)
    {
        if (string.IsNullOrEmpty(fields.Name))
        {
            throw new WireFormatException($"{name}.name", "it is missing or empty; accepted: the name of a tensor.");
        }
        var type = DataTypes.Parse(fields.Type, $"{name}.datatype");
        var shape = fields.Shape ?? throw new WireFormatException($"{name}.shape", "it is missing; accepted: an array of dimensions, the batch first.");
        var count = WireTensor.CountOf(shape);
        if (count < 0)
        {
            throw new WireFormatException($"{name}.shape", $"[{string.Join(',', shape)}] has more elements than can be counted.");
        }
        if (fields.BinarySize is { } size)
        {
            if (fields.Data is not null)
            {
                throw new WireFormatException($"{name}.data", "it is there besides binary_data_size; accepted: one of them.");
            }
            if (size > binary.Length)
            {
                throw new WireFormatException($"{name}.parameters.binary_data_size", $"it is {size}; {binary.Length} bytes are left of the body.");
            }
            var data = binary[..(int)size];
            binary = binary[(int)size..];
            WireTensor.Check(type, count, data.Span, $"{name}.parameters.binary_data_size");
            return new WireTensor(fields.Name, type, shape, data);
        }
        if (fields.Data is not { } range)
        {
            throw new WireFormatException($"{name}.data", "it is missing; accepted: an array of elements, or the parameter binary_data_size.");
        }
        var json = header.Span[range];
        if (2 * count - 1 > json.Length)
        {
            // An element takes a character at least, and a comma: no memory is taken for what cannot be there.
            throw new WireFormatException($"{name}.data", $"it has fewer elements than the {count} of its shape.");
        }
        var target = message.Rent(JsonElements.MostBytes(type, count, json.Length));
        var written = JsonElements.Read(json, _options.MaxDepth, type, count, target.Span, $"{name}.data");
        CopiedBytes.Add(written);
        return new WireTensor(fields.Name, type, shape, target[..written]);
    }

    private long[] ReadShape(ref Utf8JsonReader reader, string field)
    {
        RequireStart(ref reader, JsonTokenType.StartArray, field, "an array of dimensions");
        Span<long> shape = stackalloc long[limits.MaxRank];
        var rank = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (rank == limits.MaxRank)
            {
                throw new WireFormatException(field, $"it has more than {limits.MaxRank} dimensions.");
            }
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var dimension) || dimension < 0)
            {
                throw new WireFormatException(field, $"dimension {rank} is not an integer of at least 0.");
            }
            shape[rank++] = dimension;
        }
        return shape[..rank].ToArray();
    }

    private static long? ReadBinarySize(ref Utf8JsonReader reader, string field)
    {
        RequireStart(ref reader, JsonTokenType.StartObject, field, "an object");
        long? size = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isSize = reader.ValueTextEquals("binary_data_size"u8);
            reader.Read();
            if (!isSize)
            {
                reader.Skip();
            }
            else if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var value) && value >= 0)
            {
                size = value;
            }
            else
            {
                throw new WireFormatException($"{field}.binary_data_size", "it is not an integer of at least 0.");
            }
        }
        return size;
    }

    private static void ReadRequestParameters(ref Utf8JsonReader reader, InferMessage message)
    {
        RequireStart(ref reader, JsonTokenType.StartObject, "parameters", "an object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("binary_data_output"u8))
            {
                message.WantsBinary = ReadTruth(ref reader, "parameters.binary_data_output");
            }
            else if (reader.ValueTextEquals("timeout"u8))
            {
                RequestParameters.SetTimeout(message, ReadInteger(ref reader, "parameters.timeout"));
            }
            else if (reader.ValueTextEquals("priority"u8))
            {
                RequestParameters.SetPriority(message, ReadInteger(ref reader, "parameters.priority"));
            }
            else if (reader.ValueTextEquals("key"u8))
            {
                message.Key = ReadString(ref reader, "parameters.key");
            }
            else if (reader.ValueTextEquals("tenant"u8))
            {
                message.Tenant = ReadString(ref reader, "parameters.tenant");
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private void ReadRequestedOutputs(ref Utf8JsonReader reader, InferMessage message)
    {
        RequireStart(ref reader, JsonTokenType.StartArray, "outputs", "an array of outputs");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var field = $"outputs[{message.RequestedOutputs.Count}]";
            RequireRoom(message.RequestedOutputs.Count, "outputs");
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                throw new WireFormatException(field, "it is no object; accepted: an object with a name.");
            }
            message.RequestedOutputs.Add(ReadRequestedOutput(ref reader, field));
        }
    }

    private static RequestedOutput ReadRequestedOutput(ref Utf8JsonReader reader, string field)
    {
        string? name = null;
        bool? isBinary = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("name"u8))
            {
                name = ReadString(ref reader, $"{field}.name");
            }
            else if (reader.ValueTextEquals("parameters"u8))
            {
                RequireStart(ref reader, JsonTokenType.StartObject, $"{field}.parameters", "an object");
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    if (reader.ValueTextEquals("binary_data"u8))
                    {
                        isBinary = ReadTruth(ref reader, $"{field}.parameters.binary_data");
                    }
                    else
                    {
                        reader.Read();
                        reader.Skip();
                    }
                }
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
        return new RequestedOutput(name ?? throw new WireFormatException($"{field}.name", "it is missing; accepted: the name of an output."), isBinary);
    }

    private void RequireRoom(int count, string field)
    {
        if (count == limits.MaxTensors)
        {
            throw new WireFormatException(field, $"there are more than {limits.MaxTensors}.");
        }
    }

    private static void RequireStart(ref Utf8JsonReader reader, JsonTokenType start, string field, string accepted)
    {
        if (!reader.Read() || reader.TokenType != start)
        {
            throw new WireFormatException(field, $"it is {Describe(reader.TokenType)}; accepted: {accepted}.");
        }
    }

    private static string ReadString(ref Utf8JsonReader reader, string field)
    {
        reader.Read();
        return reader.TokenType == JsonTokenType.String ? reader.GetString()! : throw new WireFormatException(field, $"it is {Describe(reader.TokenType)}; accepted: a string.");
    }

    private static bool ReadTruth(ref Utf8JsonReader reader, string field)
    {
        reader.Read();
        return reader.TokenType switch
        {
            JsonTokenType.True => true,
            JsonTokenType.False => false,
            _ => throw new WireFormatException(field, $"it is {Describe(reader.TokenType)}; accepted: true and false."),
        };
    }

    private static long ReadInteger(ref Utf8JsonReader reader, string field)
    {
        reader.Read();
        return reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var value)
            ? value
            : throw new WireFormatException(field, $"it is {Describe(reader.TokenType)}; accepted: an integer.");
    }

    private static string Describe(JsonTokenType token) => token switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "another number",
        JsonTokenType.True or JsonTokenType.False => "a truth value",
        JsonTokenType.Null => "null",
        _ => "nothing",
    };

    /// <summary>What is said of a tensor, in whatever order.</summary>
    private struct TensorFields
    {
        public string? Name;
        public string? Type;
        public long[]? Shape;
        public long? BinarySize;
        public Range? Data;     // within the header
    }
}
