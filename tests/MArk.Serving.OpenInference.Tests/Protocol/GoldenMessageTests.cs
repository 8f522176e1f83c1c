using System.Buffers;
using System.Text;
using Google.Protobuf;
using MArk.Serving.OpenInference.Protocol;
using MArk.Serving.OpenInference.Wire;

namespace MArk.Serving.OpenInference.Tests.Protocol;

/// <summary>Each data type in each form, byte for byte, as the specification has it.</summary>
public sealed class GoldenMessageTests
{
    /// <summary>The type's name, its elements in JSON, and in the binary form.</summary>
    public static TheoryData<string, string, byte[]> AllTypes => new()
    {
        { "BOOL", "[true,false]", [1, 0] },
        { "UINT8", "[0,255]", [0, 255] },
        { "UINT16", "[1,65535]", [1, 0, 255, 255] },
        { "UINT32", "[1,4294967295]", [1, 0, 0, 0, 255, 255, 255, 255] },
        { "UINT64", "[1,18446744073709551615]", [1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255] },
        { "INT8", "[-128,127]", [128, 127] },
        { "INT16", "[-2,32767]", [254, 255, 255, 127] },
        { "INT32", "[-2,2147483647]", [254, 255, 255, 255, 255, 255, 255, 127] },
        { "INT64", "[-2,9223372036854775807]", [254, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 127] },
        { "FP16", "[1.5,-2]", [0x00, 0x3e, 0x00, 0xc0] },
        { "BF16", "[1.5,-2]", [0xc0, 0x3f, 0x00, 0xc0] },
        { "FP32", "[1.5,-2]", [0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0] },
        { "FP64", "[1.5,-2]", [0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0] },
        { "BYTES", "[\"ab\",\"\"]", [2, 0, 0, 0, (byte)'a', (byte)'b', 0, 0, 0, 0] },
    };

    [Theory]
    [MemberData(nameof(AllTypes))]
    public void JsonIsRead(string type, string elements, byte[] binary)
    {
        using var message = Messages.Request($$$"""{"id":"7","inputs":[{"name":"x","shape":[2,1],"datatype":"{{{type}}}","data":{{{elements}}}}]}""");
        AssertTensor(Assert.Single(message.Tensors), type, binary);
        Assert.Equal("7", message.Id);
    }

    [Theory]
    [MemberData(nameof(AllTypes))]
    public void NestedJsonIsReadWhateverTheOrderOfItsFields(string type, string elements, byte[] binary)
    {
        var nested = "[[" + elements[1..^1].Replace(",", "],[", StringComparison.Ordinal) + "]]";
        using var message = Messages.Request($$"""{"inputs":[{"data":{{nested}},"datatype":"{{type}}","extra":{"a":[1]},"shape":[2,1],"name":"x"}],"unknown":[{}]}""");
        AssertTensor(Assert.Single(message.Tensors), type, binary);
    }

    [Theory]
    [MemberData(nameof(AllTypes))]
    public void TheBinaryFormIsReadWhereItLies(string type, string elements, byte[] binary)
    {
        // A tensor in JSON between two in the binary form: these follow each other.
        var tensor = $$""" "shape":[2,1],"datatype":"{{type}}" """;
        var (body, header) = Messages.WithBinary(
            $$$"""{"inputs":[{"name":"a",{{{tensor}}},"parameters":{"binary_data_size":{{{binary.Length}}}}},{"name":"b",{{{tensor}}},"data":{{{elements}}}},{"name":"c",{{{tensor}}},"parameters":{"binary_data_size":{{{binary.Length}}}}}]}""",
            [.. binary, .. binary]);
        using var message = Messages.Reader.ReadRequest(body, header);
        Assert.Equal(["a", "b", "c"], message.Tensors.Select(t => t.Name));
        message.Tensors.ForEach(t => AssertTensor(t, type, binary));
    }

    [Theory]
    [MemberData(nameof(AllTypes))]
    public void RequestsAreWritten(string type, string elements, byte[] binary)
    {
        var tensors = new[] { new WireTensor("x", DataTypes.Parse(type, ""), [2, 1], binary) };
        var outputs = new[] { new TensorSpec("y", TensorElementType.Float32, [1]) };
        Assert.Equal(
            $$$"""{"inputs":[{"name":"x","datatype":"{{{type}}}","shape":[2,1],"data":{{{elements}}}}],"outputs":[{"name":"y"}]}""",
            Written(target => InferMessageWriter.WriteRequest(target, tensors, outputs, isBinary: false)));
        Assert.Equal(
            $$$"""{"parameters":{"binary_data_output":true},"inputs":[{"name":"x","datatype":"{{{type}}}","shape":[2,1],"parameters":{"binary_data_size":{{{binary.Length}}}}}],"outputs":[{"name":"y"}]}""",
            Written(target => InferMessageWriter.WriteRequest(target, tensors, outputs, isBinary: true)));
    }

    [Theory]
    [MemberData(nameof(AllTypes))]
    public void AnswersAreWrittenWithBinaryAndJsonMixed(string type, string elements, byte[] binary)
    {
        using var message = new InferMessage { ModelName = "m", ModelVersion = "1", Id = "7" };
        message.Tensors.Add(new WireTensor("x", DataTypes.Parse(type, ""), [2, 1], binary));
        message.Tensors.Add(new WireTensor("y", DataTypes.Parse(type, ""), [2, 1], binary));
        Assert.Equal(
            $$$"""{"model_name":"m","model_version":"1","id":"7","outputs":[{"name":"x","datatype":"{{{type}}}","shape":[2,1],"data":{{{elements}}}},{"name":"y","datatype":"{{{type}}}","shape":[2,1],"parameters":{"binary_data_size":{{{binary.Length}}}}}]}""",
            Written(target => InferMessageWriter.WriteResponse(target, message, [false, true])));
    }

    [Theory]
    [MemberData(nameof(AllTypes))]
    public void GrpcGoesAsRawContents(string type, string elements, byte[] binary)
    {
        _ = elements;
        var sent = GrpcMessages.ToRequest("m", "2", [new WireTensor("x", DataTypes.Parse(type, ""), [2, 1], binary)], [new TensorSpec("y", TensorElementType.Float32, [1])]);
        // Through bytes, as it goes over a wire.
        var request = ModelInferRequest.Parser.ParseFrom(sent.ToByteArray());
        Assert.Equal(binary, Assert.Single(request.RawInputContents).ToByteArray());
        using var message = GrpcMessages.Read(request, new WireLimits());
        Assert.Equal(("m", "2", "y"), (message.ModelName, message.ModelVersion, Assert.Single(message.RequestedOutputs).Name));
        AssertTensor(Assert.Single(message.Tensors), type, binary);
    }

    [Theory]
    [MemberData(nameof(AllTypes))]
    public void TypedContentsOfGrpcAreRead(string type, string elements, byte[] binary)
    {
        if (type is "FP16" or "BF16")
        {
            // The protocol has no contents of these types.
            var refused = Assert.Throws<WireFormatException>(() => GrpcMessages.Read(Typed(type, new InferTensorContents()), new WireLimits()));
            Assert.Contains("raw contents", refused.Message, StringComparison.Ordinal);
            return;
        }
        _ = elements;
        var contents = new InferTensorContents();
        var tensor = new WireTensor("x", DataTypes.Parse(type, ""), [2, 1], binary);
        var rows = new TensorRows([new TensorSpec("x", tensor.ElementType, [1])], [tensor]);
        for (rows.Row = 0; rows.Row < 2; rows.Row++)
        {
            AddElement(contents, rows[0]);
        }
        using var message = GrpcMessages.Read(ModelInferRequest.Parser.ParseFrom(Typed(type, contents).ToByteArray()), new WireLimits());
        AssertTensor(Assert.Single(message.Tensors), type, binary);
    }

    [Fact]
    public void NumbersThatJsonHasNotAreNamed()
    {
        using var message = Messages.Request("""{"inputs":[{"name":"x","shape":[3],"datatype":"FP32","data":["NaN","Infinity","-Infinity"]}]}""");
        var values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(message.Tensors[0].Data.Span).ToArray();
        Assert.Equal([float.NaN, float.PositiveInfinity, float.NegativeInfinity], values);
        using var answer = new InferMessage { ModelName = "m" };
        answer.Tensors.Add(message.Tensors[0]);
        Assert.Contains("[\"NaN\",\"Infinity\",\"-Infinity\"]", Written(target => InferMessageWriter.WriteResponse(target, answer, [false])), StringComparison.Ordinal);
        answer.Tensors.Clear();
    }

    [Fact]
    public void ParametersAndWantedOutputsAreRead()
    {
        using var message = Messages.Request(
            """{"parameters":{"timeout":2500,"priority":1,"key":"k","tenant":"t","binary_data_output":true,"other":{}},"inputs":[{"name":"x","shape":[1],"datatype":"BOOL","data":[true]}],"outputs":[{"name":"y","parameters":{"binary_data":false}},{"name":"z"}]}""");
        Assert.Equal((TimeSpan.FromMilliseconds(2.5), RequestPriority.High, "k", "t", true), (message.Timeout, message.Priority, message.Key, message.Tenant, message.WantsBinary));
        Assert.Equal([new RequestedOutput("y", false), new RequestedOutput("z", null)], message.RequestedOutputs);
    }

    private static ModelInferRequest Typed(string type, InferTensorContents contents)
    {
        var input = new ModelInferRequest.Types.InferInputTensor { Name = "x", Datatype = type, Contents = contents };
        input.Shape.AddRange([2, 1]);
        return new ModelInferRequest { ModelName = "m", Inputs = { input } };
    }

    private static void AddElement(InferTensorContents contents, TensorItem item)
    {
        switch (item.Spec.ElementType)
        {
            case TensorElementType.Bool: contents.BoolContents.Add(item.As<bool>()[0]); break;
            case TensorElementType.UInt8: contents.UintContents.Add(item.As<byte>()[0]); break;
            case TensorElementType.UInt16: contents.UintContents.Add(item.As<ushort>()[0]); break;
            case TensorElementType.UInt32: contents.UintContents.Add(item.As<uint>()[0]); break;
            case TensorElementType.UInt64: contents.Uint64Contents.Add(item.As<ulong>()[0]); break;
            case TensorElementType.Int8: contents.IntContents.Add(item.As<sbyte>()[0]); break;
            case TensorElementType.Int16: contents.IntContents.Add(item.As<short>()[0]); break;
            case TensorElementType.Int32: contents.IntContents.Add(item.As<int>()[0]); break;
            case TensorElementType.Int64: contents.Int64Contents.Add(item.As<long>()[0]); break;
            case TensorElementType.Float32: contents.Fp32Contents.Add(item.As<float>()[0]); break;
            case TensorElementType.Float64: contents.Fp64Contents.Add(item.As<double>()[0]); break;
            default: contents.BytesContents.Add(ByteString.CopyFromUtf8(item.Strings[0])); break;
        }
    }

    private static void AssertTensor(WireTensor tensor, string type, byte[] binary)
    {
        Assert.Equal(type, DataTypes.NameOf(tensor.ElementType));
        Assert.Equal([2L, 1L], tensor.Shape);
        Assert.Equal(binary, tensor.Data.ToArray());
    }

    private static string Written(Action<ArrayBufferWriter<byte>> write)
    {
        var target = new ArrayBufferWriter<byte>();
        write(target);
        return Encoding.UTF8.GetString(target.WrittenSpan);
    }
}
