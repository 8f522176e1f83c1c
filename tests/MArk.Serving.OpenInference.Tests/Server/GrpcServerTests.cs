using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using MArk.Serving.OpenInference.Tests.Protocol;
using MArk.Serving.OpenInference.Wire;

namespace MArk.Serving.OpenInference.Tests.Server;

public sealed class GrpcServerTests
{
    private static ModelInferRequest Request(string model, string type, long[] shape, byte[] raw)
    {
        var input = new ModelInferRequest.Types.InferInputTensor { Name = "x", Datatype = type };
        input.Shape.AddRange(shape);
        return new ModelInferRequest { ModelName = model, Inputs = { input }, RawInputContents = { ByteString.CopyFrom(raw) } };
    }

    [Fact]
    public async Task HealthMetadataAndStatistics()
    {
        await using var server = await LiveServer.StartAsync(m => m.AddEcho("echo", new TensorSpec("x", TensorElementType.Float32, [-1])));
        using var channel = GrpcChannel.ForAddress(server.Http2Address);
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(channel);
        Assert.True((await client.ServerLiveAsync(new ServerLiveRequest())).Live);
        Assert.True((await client.ServerReadyAsync(new ServerReadyRequest())).Ready);
        Assert.True((await client.ModelReadyAsync(new ModelReadyRequest { Name = "echo" })).Ready);
        Assert.Contains("binary_tensor_data", (await client.ServerMetadataAsync(new ServerMetadataRequest())).Extensions);
        var metadata = await client.ModelMetadataAsync(new ModelMetadataRequest { Name = "echo", Version = "1" });
        Assert.Equal(("x", "FP32"), (metadata.Inputs[0].Name, metadata.Inputs[0].Datatype));
        Assert.Equal([-1L, -1L], metadata.Outputs[0].Shape);
        Assert.Equal("READY", (await client.RepositoryIndexAsync(new RepositoryIndexRequest())).Models[0].State);
        await client.ModelInferAsync(Request("echo", "FP32", [1, 1], new byte[4]));
        Assert.Equal(1UL, (await client.ModelStatisticsAsync(new ModelStatisticsRequest { Name = "echo" })).ModelStats[0].InferenceStats.Success.Count);
    }

    [Theory]
    [MemberData(nameof(GoldenMessageTests.AllTypes), MemberType = typeof(GoldenMessageTests))]
    public async Task EveryTypeComesBackAsItWent(string type, string elements, byte[] binary)
    {
        _ = elements;
        await using var server = await LiveServer.StartAsync(m => m.AddEcho("echo", new TensorSpec("x", MArk.Serving.OpenInference.Protocol.DataTypes.Parse(type, ""), [1])));
        using var channel = GrpcChannel.ForAddress(server.Http2Address);
        var answer = await new GRPCInferenceService.GRPCInferenceServiceClient(channel).ModelInferAsync(Request("echo", type, [2, 1], binary));
        Assert.Equal(("y_x", type), (answer.Outputs[0].Name, answer.Outputs[0].Datatype));
        Assert.Equal([2L, 1L], answer.Outputs[0].Shape);
        Assert.Equal(binary, answer.RawOutputContents[0].ToByteArray());
    }

    [Fact]
    public async Task ErrorsHaveTheStatusOfTheirKind()
    {
        await using var server = await LiveServer.StartAsync(m => m.AddEcho("echo", new TensorSpec("x", TensorElementType.Float32, [-1])), o => o.ApiKeys.Add("secret"));
        using var channel = GrpcChannel.ForAddress(server.Http2Address);
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(channel);
        var key = new Metadata { { "authorization", "Bearer secret" } };
        Assert.True((await client.ServerReadyAsync(new ServerReadyRequest())).Ready);
        await AssertRefusedAsync(StatusCode.Unauthenticated, "No key", client.ModelInferAsync(Request("echo", "FP32", [1, 1], new byte[4])));
        await AssertRefusedAsync(StatusCode.NotFound, "no model 'none'", client.ModelInferAsync(Request("none", "FP32", [1, 1], new byte[4]), key));
        await AssertRefusedAsync(StatusCode.InvalidArgument, "inputs[0].datatype", client.ModelInferAsync(Request("echo", "FP99", [1, 1], new byte[4]), key));
        await AssertRefusedAsync(StatusCode.InvalidArgument, "inputs[0].shape", client.ModelInferAsync(Request("echo", "FP32", [1, -1], new byte[4]), key));
        await AssertRefusedAsync(StatusCode.InvalidArgument, "inputs[0], raw contents", client.ModelInferAsync(Request("echo", "FP32", [1, 2], new byte[4]), key));
        await AssertRefusedAsync(StatusCode.InvalidArgument, "no repository", client.RepositoryModelLoadAsync(new RepositoryModelLoadRequest { ModelName = "m" }, key));
        Assert.Equal(4, (await client.ModelInferAsync(Request("echo", "FP32", [1, 1], new byte[4]), key)).RawOutputContents[0].Length);

        static async Task AssertRefusedAsync<T>(StatusCode status, string says, AsyncUnaryCall<T> call)
        {
            var refused = await Assert.ThrowsAsync<RpcException>(async () => await call);
            Assert.Equal(status, refused.StatusCode);
            Assert.Contains(says, refused.Status.Detail, StringComparison.Ordinal);
        }
    }
}
