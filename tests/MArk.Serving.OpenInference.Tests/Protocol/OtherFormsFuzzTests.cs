using CsCheck;
using Google.Protobuf;
using MArk.Serving.OpenInference.Protocol;
using MArk.Serving.OpenInference.Wire;

namespace MArk.Serving.OpenInference.Tests.Protocol;

/// <summary>Answers, gRPC and the v1 form: whatever comes is read, or refused as a bad message.</summary>
public sealed class OtherFormsFuzzTests
{
    private static readonly WireLimits Limits = new();

    private static readonly TensorSpec[] Specs = [new("a", TensorElementType.Float32, [-1, 2]), new("b", TensorElementType.String, [])];

    [Fact]
    public void AnswersWithSomeBytesChanged() => Mutate(
        Messages.Utf8("""{"model_name":"m","outputs":[{"name":"y","shape":[1,2],"datatype":"FP32","data":[1,2]},{"name":"z","shape":[1],"datatype":"BYTES","data":["a"]}]}"""),
        body => Messages.Reader.ReadResponse(body, null).Dispose());

    [Fact]
    public void PredictionsWithSomeBytesChanged()
    {
        var reader = new PredictV1Reader(Limits);
        Mutate(Messages.Utf8("""{"instances":[{"a":[[1,2],[3,4]],"b":"x"},{"a":[[5,6],[7,8]],"b":"yz"}]}"""), body => reader.ReadRequest(body, Specs, out _).Dispose());
        Mutate(Messages.Utf8("""{"outputs":{"a":[[[1,2],[3,4]]],"b":["x"]}}"""), body => reader.ReadResponse(body, Specs).Dispose());
    }

    [Fact]
    public void GrpcWithSomeBytesChanged()
    {
        var request = GrpcMessages.ToRequest("m", "1", [new WireTensor("a", TensorElementType.Float32, [1, 2], new byte[8]), new WireTensor("b", TensorElementType.String, [1], new byte[] { 1, 0, 0, 0, 65 })], Specs);
        request.Parameters.Add("timeout", new InferParameter { Int64Param = 5 });
        var typed = new ModelInferRequest.Types.InferInputTensor { Name = "c", Datatype = "INT8", Contents = new InferTensorContents { IntContents = { 1, 2 } }, Shape = { 2 } };
        foreach (var whole in new[] { request, new ModelInferRequest { Inputs = { typed } } })
        {
            Mutate(whole.ToByteArray(), body =>
            {
                ModelInferRequest parsed;
                try
                {
                    parsed = ModelInferRequest.Parser.ParseFrom(body);
                }
                catch (InvalidProtocolBufferException)
                {
                    // The gRPC library refuses it before this code sees it.
                    return;
                }
                GrpcMessages.Read(parsed, Limits).Dispose();
            });
        }
    }

    private static void Mutate(byte[] good, Action<byte[]> read)
    {
        read(good);
        Gen.Select(Gen.Int[0, good.Length - 1], Gen.Byte).Array[1, 5].Sample(changes =>
        {
            var changed = (byte[])good.Clone();
            foreach (var (at, value) in changes)
            {
                changed[at] = value;
            }
            try
            {
                read(changed);
            }
            catch (WireFormatException)
            {
                // Refused, as it should be.
                return;
            }
        }, iter: 10_000);
    }
}
