using System.Buffers.Binary;
using Google.Protobuf;
using Google.Protobuf.Collections;
using MArk.Serving.OpenInference.Wire;

namespace MArk.Serving.OpenInference.Protocol;

/// <summary>Requests and answers of the gRPC form. Tensors go as raw contents, in the binary form; typed contents are read too.</summary>
internal static class GrpcMessages
{
    /// <summary>A request over memory of the caller's, which it must not change until the call has ended.</summary>
    public static ModelInferRequest ToRequest(string model, string? version, IReadOnlyList<WireTensor> inputs, IReadOnlyList<TensorSpec> outputs)
    {
        var request = new ModelInferRequest { ModelName = model, ModelVersion = version ?? "" };
        foreach (var tensor in inputs)
        {
            var input = new ModelInferRequest.Types.InferInputTensor { Name = tensor.Name, Datatype = DataTypes.NameOf(tensor.ElementType) };
            input.Shape.AddRange(tensor.Shape);
            request.Inputs.Add(input);
            request.RawInputContents.Add(UnsafeByteOperations.UnsafeWrap(tensor.Data));
        }
        foreach (var output in outputs)
        {
            request.Outputs.Add(new ModelInferRequest.Types.InferRequestedOutputTensor { Name = output.Name });
        }
        return request;
    }

    /// <summary>An answer over the memory of a message, which must live until it is sent.</summary>
    public static ModelInferResponse ToResponse(InferMessage message)
    {
        var response = new ModelInferResponse { ModelName = message.ModelName ?? "", ModelVersion = message.ModelVersion ?? "", Id = message.Id ?? "" };
        foreach (var tensor in message.Tensors)
        {
            var output = new ModelInferResponse.Types.InferOutputTensor { Name = tensor.Name, Datatype = DataTypes.NameOf(tensor.ElementType) };
            output.Shape.AddRange(tensor.Shape);
            response.Outputs.Add(output);
            response.RawOutputContents.Add(UnsafeByteOperations.UnsafeWrap(tensor.Data));
        }
        return response;
    }

    /// <summary>Reads a request. Raw contents go on lying in it.</summary>
    /// <exception cref="WireFormatException">It is none; names the field and what is accepted.</exception>
    public static InferMessage Read(ModelInferRequest request, WireLimits limits)
    {
        var message = new InferMessage
        {
            Id = Named(request.Id),
            ModelName = request.ModelName,
            ModelVersion = Named(request.ModelVersion),
        };
        try
        {
            ReadParameters(request.Parameters, message);
            RequireRoom(request.Inputs.Count, limits, "inputs");
            RequireRoom(request.Outputs.Count, limits, "outputs");
            RequireRaw(request.RawInputContents.Count, request.Inputs.Count, "raw_input_contents");
            for (var i = 0; i < request.Inputs.Count; i++)
            {
                var input = request.Inputs[i];
                Add(message, limits, $"inputs[{i}]", input.Name, input.Datatype, input.Shape, input.Contents, RawAt(request.RawInputContents, i));
            }
            foreach (var output in request.Outputs)
            {
                message.RequestedOutputs.Add(new RequestedOutput(output.Name, IsBinary: null));
            }
            return message;
        }
        catch
        {
            message.Dispose();
            throw;
        }
    }

    /// <summary>Reads an answer, likewise.</summary>
    /// <exception cref="WireFormatException">It is none; names the field and what is accepted.</exception>
    public static InferMessage Read(ModelInferResponse response, WireLimits limits)
    {
        var message = new InferMessage { Id = Named(response.Id), ModelName = response.ModelName, ModelVersion = Named(response.ModelVersion) };
        try
        {
            RequireRoom(response.Outputs.Count, limits, "outputs");
            RequireRaw(response.RawOutputContents.Count, response.Outputs.Count, "raw_output_contents");
            for (var i = 0; i < response.Outputs.Count; i++)
            {
                var output = response.Outputs[i];
                Add(message, limits, $"outputs[{i}]", output.Name, output.Datatype, output.Shape, output.Contents, RawAt(response.RawOutputContents, i));
            }
            return message;
        }
        catch
        {
            message.Dispose();
            throw;
        }
    }

    private static string? Named(string text) => text.Length == 0 ? null : text;

    private static ByteString? RawAt(RepeatedField<ByteString> raw, int index) => raw.Count == 0 ? null : raw[index];

    private static void RequireRaw(int raw, int tensors, string field)
    {
        if (raw != 0 && raw != tensors)
        {
            throw new WireFormatException(field, $"there are {raw} for {tensors} tensors; accepted: one for each, or none.");
        }
    }

    private static void RequireRoom(int count, WireLimits limits, string field)
    {
        if (count > limits.MaxTensors)
        {
            throw new WireFormatException(field, $"there are {count}; accepted: at most {limits.MaxTensors}.");
        }
    }

    private static void ReadParameters(MapField<string, InferParameter> parameters, InferMessage message)
    {
        foreach (var (name, value) in parameters)
        {
            switch (name)
            {
                case "timeout":
                    RequestParameters.SetTimeout(message, Integer(name, value));
                    break;
                case "priority":
                    RequestParameters.SetPriority(message, Integer(name, value));
                    break;
                case "key":
                    message.Key = Text(name, value);
                    break;
                case "tenant":
                    message.Tenant = Text(name, value);
                    break;
                default:
                    break;
            }
        }
    }

    private static long Integer(string name, InferParameter value) => value.ParameterChoiceCase switch
    {
        InferParameter.ParameterChoiceOneofCase.Int64Param => value.Int64Param,
        InferParameter.ParameterChoiceOneofCase.Uint64Param when value.Uint64Param <= long.MaxValue => (long)value.Uint64Param,
        _ => throw new WireFormatException($"parameters.{name}", $"it is {value.ParameterChoiceCase}; accepted: an integer."),
    };

    private static string Text(string name, InferParameter value) => value.ParameterChoiceCase == InferParameter.ParameterChoiceOneofCase.StringParam
        ? value.StringParam
        : throw new WireFormatException($"parameters.{name}", $"it is {value.ParameterChoiceCase}; accepted: a string.");

    private static void Add(
        InferMessage message, WireLimits limits, string field, string name, string datatype, RepeatedField<long> dimensions, InferTensorContents? contents, ByteString? raw)
    {
        if (name.Length == 0)
        {
            throw new WireFormatException($"{field}.name", "it is missing or empty; accepted: the name of a tensor.");
        }
        if (message.Tensors.Exists(t => t.Name == name))
        {
            throw new WireFormatException($"{field}.name", $"there is a tensor '{DataTypes.Shortened(name)}' before; accepted: each once.");
        }
        var type = DataTypes.Parse(datatype, $"{field}.datatype");
        if (dimensions.Count > limits.MaxRank || dimensions.Any(d => d < 0))
        {
            throw new WireFormatException($"{field}.shape", $"it has {dimensions.Count} dimensions, of at least {(dimensions.Count == 0 ? 0 : dimensions.Min())}; accepted: at most {limits.MaxRank}, each at least 0.");
        }
        long[] shape = [.. dimensions];
        var count = WireTensor.CountOf(shape);
        if (count < 0)
        {
            throw new WireFormatException($"{field}.shape", $"[{string.Join(',', shape)}] has more elements than can be counted.");
        }
        if (raw is not null && contents is not null && contents.CalculateSize() > 0)
        {
            throw new WireFormatException($"{field}.contents", "they are there besides raw contents; accepted: one of them.");
        }
        var data = raw?.Memory ?? Encode(message, type, count, contents ?? new InferTensorContents(), $"{field}.contents");
        WireTensor.Check(type, count, data.Span, raw is null ? $"{field}.contents" : $"{field}, raw contents");
        message.Tensors.Add(new WireTensor(name, type, shape, data));
    }

    /// <summary>Typed contents in the binary form.</summary>
    private static ReadOnlyMemory<byte> Encode(InferMessage message, TensorElementType type, long count, InferTensorContents contents, string field)
    {
        if (type is TensorElementType.Float16 or TensorElementType.BFloat16)
        {
            throw new WireFormatException(field, $"there are none for {DataTypes.NameOf(type)}; accepted: raw contents.");
        }
        var there = type switch
        {
            TensorElementType.Bool => contents.BoolContents.Count,
            TensorElementType.Int8 or TensorElementType.Int16 or TensorElementType.Int32 => contents.IntContents.Count,
            TensorElementType.Int64 => contents.Int64Contents.Count,
            TensorElementType.UInt8 or TensorElementType.UInt16 or TensorElementType.UInt32 => contents.UintContents.Count,
            TensorElementType.UInt64 => contents.Uint64Contents.Count,
            TensorElementType.Float32 => contents.Fp32Contents.Count,
            TensorElementType.Float64 => contents.Fp64Contents.Count,
            _ => contents.BytesContents.Count,
        };
        if (there != count)
        {
            throw new WireFormatException(field, $"there are {there} of {DataTypes.NameOf(type)}; the shape has {count} elements.");
        }
        var size = type == TensorElementType.String ? contents.BytesContents.Sum(b => b.Length + sizeof(uint)) : there * TensorElementTypes.SizeOf(type);
        var target = message.Rent(size);
        Fill(target.Span, type, contents, field);
        return target;
    }

    private static void Fill(Span<byte> target, TensorElementType type, InferTensorContents contents, string field)
    {
        var size = TensorElementTypes.SizeOf(type);
        var at = 0;
        switch (type)
        {
            case TensorElementType.Bool:
                foreach (var value in contents.BoolContents)
                {
                    target[at++] = value ? (byte)1 : (byte)0;
                }
                break;
            case TensorElementType.Int64:
                foreach (var value in contents.Int64Contents)
                {
                    BinaryPrimitives.WriteInt64LittleEndian(target[(size * at++)..], value);
                }
                break;
            case TensorElementType.UInt64:
                foreach (var value in contents.Uint64Contents)
                {
                    BinaryPrimitives.WriteUInt64LittleEndian(target[(size * at++)..], value);
                }
                break;
            case TensorElementType.Float32:
                foreach (var value in contents.Fp32Contents)
                {
                    BinaryPrimitives.WriteSingleLittleEndian(target[(size * at++)..], value);
                }
                break;
            case TensorElementType.Float64:
                foreach (var value in contents.Fp64Contents)
                {
                    BinaryPrimitives.WriteDoubleLittleEndian(target[(size * at++)..], value);
                }
                break;
            case TensorElementType.String:
                foreach (var value in contents.BytesContents)
                {
                    BinaryPrimitives.WriteUInt32LittleEndian(target[at..], (uint)value.Length);
                    value.Span.CopyTo(target[(at + sizeof(uint))..]);
                    at += sizeof(uint) + value.Length;
                }
                break;
            case TensorElementType.Int8 or TensorElementType.Int16 or TensorElementType.Int32:
                foreach (var value in contents.IntContents)
                {
                    Narrow(target.Slice(size * at, size), value, size, at++, field);
                }
                break;
            default:
                foreach (var value in contents.UintContents)
                {
                    Narrow(target.Slice(size * at, size), value, size, at++, field);
                }
                break;
        }
    }

    private static void Narrow(Span<byte> target, int value, int size, int index, string field)
    {
        var bits = 8 * size - 1;
        if (size < sizeof(int) && (value < -(1 << bits) || value >= 1 << bits))
        {
            throw new WireFormatException(field, $"element {index} is {value}; accepted: {-(1 << bits)} to {(1 << bits) - 1}.");
        }
        WriteLow(target, (uint)value, size);
    }

    private static void Narrow(Span<byte> target, uint value, int size, int index, string field)
    {
        if (size < sizeof(uint) && value >= 1U << (8 * size))
        {
            throw new WireFormatException(field, $"element {index} is {value}; accepted: 0 to {(1U << (8 * size)) - 1}.");
        }
        WriteLow(target, value, size);
    }

    private static void WriteLow(Span<byte> target, uint value, int size)
    {
        for (var i = 0; i < size; i++)
        {
            target[i] = (byte)(value >> (8 * i));
        }
    }
}
