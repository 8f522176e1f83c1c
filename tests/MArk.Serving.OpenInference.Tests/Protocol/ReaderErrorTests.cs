using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Tests.Protocol;

/// <summary>What is no request is refused with the field that is at fault and what is accepted.</summary>
public sealed class ReaderErrorTests
{
    private static string Tensor(string rest) => $$"""{"inputs":[{"name":"x",{{rest}}}]}""";

    [Theory]
    [InlineData("", "body")]
    [InlineData("[1]", "body")]
    [InlineData("{", "body")]
    [InlineData("{}", "inputs")]
    [InlineData("""{"inputs":{}}""", "inputs")]
    [InlineData("""{"inputs":[]} x""", "body")]
    [InlineData("""{"inputs":[],"inputs":[]}""", "inputs")]
    [InlineData("""{"inputs":[3]}""", "inputs[0]")]
    [InlineData("""{"inputs":[{"shape":[1],"datatype":"BOOL","data":[true]}]}""", "inputs[0].name")]
    [InlineData("""{"inputs":[{"name":"","shape":[1],"datatype":"BOOL","data":[true]}]}""", "inputs[0].name")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1],"datatype":"BOOL","data":[true]},{"name":"x","shape":[1],"datatype":"BOOL","data":[true]}]}""", "inputs[1].name")]
    [InlineData("""{"id":7,"inputs":[]}""", "id")]
    [InlineData("""{"parameters":[],"inputs":[]}""", "parameters")]
    [InlineData("""{"parameters":{"timeout":-1},"inputs":[]}""", "parameters.timeout")]
    [InlineData("""{"parameters":{"timeout":"soon"},"inputs":[]}""", "parameters.timeout")]
    [InlineData("""{"parameters":{"priority":2},"inputs":[]}""", "parameters.priority")]
    [InlineData("""{"parameters":{"binary_data_output":1},"inputs":[]}""", "parameters.binary_data_output")]
    [InlineData("""{"outputs":[{}],"inputs":[]}""", "outputs[0].name")]
    [InlineData("""{"outputs":[{"name":"y","parameters":{"binary_data":"yes"}}],"inputs":[]}""", "outputs[0].parameters.binary_data")]
    public void OfAMessage(string json, string field) => Assert.Equal(field, Messages.Refused(json).Field);

    [Theory]
    [InlineData(""" "datatype":"FP32","data":[1] """, "shape")]
    [InlineData(""" "shape":[1],"data":[1] """, "datatype")]
    [InlineData(""" "shape":[1],"datatype":"FP128","data":[1] """, "datatype")]
    [InlineData(""" "shape":[1],"datatype":"FP32" """, "data")]
    [InlineData(""" "shape":1,"datatype":"FP32","data":[1] """, "shape")]
    [InlineData(""" "shape":[-1],"datatype":"FP32","data":[1] """, "shape")]
    [InlineData(""" "shape":[1.5],"datatype":"FP32","data":[1] """, "shape")]
    [InlineData(""" "shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"datatype":"FP32","data":[1] """, "shape")]
    [InlineData(""" "shape":[4294967296,4294967296,4294967296],"datatype":"FP32","data":[1] """, "shape")]
    [InlineData(""" "shape":[1000000000],"datatype":"FP32","data":[1] """, "data")]
    [InlineData(""" "shape":[2],"datatype":"FP32","data":[1] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"FP32","data":[1,2] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"FP32","data":5 """, "data")]
    [InlineData(""" "shape":[1],"datatype":"FP32","data":[null] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"FP32","data":["1"] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"FP32","data":[1e300] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"FP16","data":[100000] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"INT8","data":[128] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"UINT8","data":[-1] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"INT32","data":[1.5] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"UINT64","data":[-1] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"BOOL","data":[1] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"BYTES","data":[1] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"BYTES","data":["\ud800"] """, "body")]
    [InlineData(""" "shape":[1],"datatype":"FP32","data":[{}] """, "data")]
    [InlineData(""" "shape":[1],"datatype":"FP32","parameters":{"binary_data_size":-1} """, "parameters.binary_data_size")]
    [InlineData(""" "shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4} """, "parameters.binary_data_size")]
    [InlineData(""" "shape":[1],"datatype":"FP32","data":[1],"parameters":{"binary_data_size":0} """, "data")]
    public void OfATensor(string tensor, string field)
    {
        var refused = Messages.Refused(Tensor(tensor));
        Assert.Equal(field == "body" ? field : $"inputs[0].{field}", refused.Field);
        Assert.StartsWith(refused.Field, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("FP32", 1, new byte[] { 0, 0, 0 })]
    [InlineData("FP32", 1, new byte[] { 0, 0, 0, 0, 0 })]
    [InlineData("BOOL", 1, new byte[] { 2 })]
    [InlineData("BYTES", 1, new byte[] { 5, 0, 0, 0, 65 })]
    [InlineData("BYTES", 1, new byte[] { 255, 255, 255, 255, 65 })]
    [InlineData("BYTES", 2, new byte[] { 0, 0, 0, 0 })]
    [InlineData("BYTES", 1, new byte[] { 0, 0, 0, 0, 0 })]
    public void OfTheBinaryForm(string type, int count, byte[] data)
    {
        var (body, header) = Messages.WithBinary(Tensor($$""" "shape":[{{count}}],"datatype":"{{type}}","parameters":{"binary_data_size":{{data.Length}}} """), data);
        Assert.Equal("inputs[0].parameters.binary_data_size", Assert.Throws<WireFormatException>(() => Messages.Reader.ReadRequest(body, header)).Field);
    }

    [Fact]
    public void OfTheHeadersLengthAndOfWhatIsLeftOver()
    {
        var (body, header) = Messages.WithBinary(Tensor(""" "shape":[1],"datatype":"BOOL","data":[true] """), 1);
        Assert.Equal("body", Assert.Throws<WireFormatException>(() => Messages.Reader.ReadRequest(body, header)).Field);
        Assert.Equal("Inference-Header-Content-Length", Assert.Throws<WireFormatException>(() => Messages.Reader.ReadRequest(body, body.Length + 1)).Field);
        Assert.Equal("Inference-Header-Content-Length", Assert.Throws<WireFormatException>(() => Messages.Reader.ReadRequest(body, 0)).Field);
    }

    [Fact]
    public void MoreThanTheLimitsAllow()
    {
        var reader = new InferMessageReader(new WireLimits { MaxTensors = 1, MaxRank = 2 });
        string Two(string name) => $$"""{"{{name}}":[{"name":"a","shape":[0],"datatype":"BOOL","data":[]},{"name":"b","shape":[0],"datatype":"BOOL","data":[]}]}""";
        Assert.Equal("inputs", Assert.Throws<WireFormatException>(() => reader.ReadRequest(Messages.Utf8(Two("inputs")), null)).Field);
        Assert.Equal("outputs", Assert.Throws<WireFormatException>(() => reader.ReadResponse(Messages.Utf8(Two("outputs")), null)).Field);
        var deep = new string('[', 100) + new string(']', 100);
        Assert.Equal("body", Messages.Refused(Tensor($$""" "shape":[0],"datatype":"BOOL","data":{{deep}} """)).Field);
        Assert.Equal("body", Messages.Refused($$"""{"inputs":[],"x":{{deep}}}""").Field);
    }
}
