using System.Buffers;
using System.Text.Json;

namespace MArk.Serving.OpenInference.Protocol;

/// <summary>Writes requests and answers of the REST form: the JSON, which tensors in the binary form follow.</summary>
internal static class InferMessageWriter
{
    private static readonly JsonWriterOptions Options = new() { SkipValidation = true };

    /// <summary>Writes a request.</summary>
    /// <param name="target">Takes the JSON. With binary tensors, their <see cref="WireTensor.Data"/> follows in their order.</param>
    /// <param name="tensors">The inputs.</param>
    /// <param name="outputs">The outputs that are wanted.</param>
    /// <param name="isBinary">Whether tensors go, and are wanted, in the binary form.</param>
    public static void WriteRequest(IBufferWriter<byte> target, IReadOnlyList<WireTensor> tensors, IReadOnlyList<TensorSpec> outputs, bool isBinary)
    {
        using var json = new Utf8JsonWriter(target, Options);
        json.WriteStartObject();
        if (isBinary)
        {
            json.WriteStartObject("parameters"u8);
            json.WriteBoolean("binary_data_output"u8, true);
            json.WriteEndObject();
        }
        json.WriteStartArray("inputs"u8);
        foreach (var tensor in tensors)
        {
            WriteTensor(json, tensor, isBinary);
        }
        json.WriteEndArray();
        json.WriteStartArray("outputs"u8);
        foreach (var output in outputs)
        {
            json.WriteStartObject();
            json.WriteString("name"u8, output.Name);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Writes an answer.</summary>
    /// <param name="target">Takes the JSON.</param>
    /// <param name="message">The answer.</param>
    /// <param name="isBinary">Of each tensor, whether it follows in the binary form.</param>
    public static void WriteResponse(IBufferWriter<byte> target, InferMessage message, ReadOnlySpan<bool> isBinary)
    {
        using var json = new Utf8JsonWriter(target, Options);
        json.WriteStartObject();
        json.WriteString("model_name"u8, message.ModelName);
        if (message.ModelVersion is not null)
        {
            json.WriteString("model_version"u8, message.ModelVersion);
        }
        if (message.Id is not null)
        {
            json.WriteString("id"u8, message.Id);
        }
        json.WriteStartArray("outputs"u8);
        for (var i = 0; i < message.Tensors.Count; i++)
        {
            WriteTensor(json, message.Tensors[i], isBinary[i]);
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteTensor(Utf8JsonWriter json, WireTensor tensor, bool isBinary)
    {
        json.WriteStartObject();
        json.WriteString("name"u8, tensor.Name);
        json.WriteString("datatype"u8, DataTypes.NameOf(tensor.ElementType));
        json.WriteStartArray("shape"u8);
        foreach (var dimension in tensor.Shape)
        {
            json.WriteNumberValue(dimension);
        }
        json.WriteEndArray();
        if (isBinary)
        {
            json.WriteStartObject("parameters"u8);
            json.WriteNumber("binary_data_size"u8, tensor.Data.Length);
            json.WriteEndObject();
        }
        else
        {
            json.WriteStartArray("data"u8);
            JsonElements.Write(json, tensor.ElementType, tensor.Data.Span);
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }
}
