using System.Globalization;
using Grpc.Core;
using MArk.Serving.OpenInference.Protocol;
using MArk.Serving.OpenInference.Wire;

namespace MArk.Serving.OpenInference.Server;

/// <summary>Open Inference Protocol v2 over gRPC, with Triton's repository and statistics calls.</summary>
internal sealed class GrpcInferenceService(InferenceCalls calls) : GRPCInferenceService.GRPCInferenceServiceBase
{
    public override Task<ServerLiveResponse> ServerLive(ServerLiveRequest request, ServerCallContext context) => Task.FromResult(new ServerLiveResponse { Live = true });

    public override Task<ServerReadyResponse> ServerReady(ServerReadyRequest request, ServerCallContext context) => Task.FromResult(new ServerReadyResponse { Ready = calls.IsReady });

    public override Task<ModelReadyResponse> ModelReady(ModelReadyRequest request, ServerCallContext context) => GuardAsync(context, request.Name, () =>
        Task.FromResult(new ModelReadyResponse { Ready = calls.Find(request.Name, Named(request.Version)).IsReady }));

    public override Task<ServerMetadataResponse> ServerMetadata(ServerMetadataRequest request, ServerCallContext context) => GuardAsync(context, "", () =>
    {
        var server = calls.Server();
        var response = new ServerMetadataResponse { Name = server.Name, Version = server.Version };
        response.Extensions.AddRange(server.Extensions);
        return Task.FromResult(response);
    });

    public override Task<ModelMetadataResponse> ModelMetadata(ModelMetadataRequest request, ServerCallContext context) => GuardAsync(context, request.Name, () =>
    {
        var metadata = calls.Metadata(request.Name, Named(request.Version));
        var response = new ModelMetadataResponse { Name = metadata.Name, Platform = metadata.Platform };
        response.Versions.AddRange(metadata.Versions);
        response.Inputs.AddRange(metadata.Inputs!.Select(ToMetadata));
        response.Outputs.AddRange(metadata.Outputs!.Select(ToMetadata));
        return Task.FromResult(response);
    });

    public override Task<ModelInferResponse> ModelInfer(ModelInferRequest request, ServerCallContext context) => GuardAsync(context, request.ModelName, async () =>
    {
        var model = calls.Find(request.ModelName, Named(request.ModelVersion));
        using var message = GrpcMessages.Read(request, calls.Limits);
        var answer = await calls.InferAsync(model, message, context.CancellationToken).ConfigureAwait(false);
        // It is sent after this call has returned, so its memory must not go back to a pool: it is left to the collector.
        return GrpcMessages.ToResponse(answer);
    });

    public override Task<ModelStatisticsResponse> ModelStatistics(ModelStatisticsRequest request, ServerCallContext context) => GuardAsync(context, request.Name, () =>
    {
        var response = new ModelStatisticsResponse();
        response.ModelStats.AddRange(calls.Statistics(Named(request.Name), Named(request.Version)).Select(s => new ModelStatistics
        {
            Name = s.Name,
            Version = s.Version,
            LastInference = (ulong)s.LastInference,
            InferenceCount = (ulong)s.InferenceCount,
            ExecutionCount = (ulong)s.ExecutionCount,
            InferenceStats = new InferStatistics { Success = ToDuration(s.InferenceStats!.Success!), Fail = ToDuration(s.InferenceStats.Fail!) },
        }));
        return Task.FromResult(response);
    });

    public override Task<RepositoryIndexResponse> RepositoryIndex(RepositoryIndexRequest request, ServerCallContext context) => GuardAsync(context, "", () =>
    {
        var response = new RepositoryIndexResponse();
        response.Models.AddRange(calls.Index(request.Ready).Select(m => new RepositoryIndexResponse.Types.ModelIndex { Name = m.Name, Version = m.Version, State = m.State, Reason = m.Reason }));
        return Task.FromResult(response);
    });

    public override Task<RepositoryModelLoadResponse> RepositoryModelLoad(RepositoryModelLoadRequest request, ServerCallContext context) => GuardAsync(context, request.ModelName, async () =>
    {
        var parameters = new RepositoryParameters { Uri = Text(request.Parameters, "uri"), Sha256 = Text(request.Parameters, "sha256"), Version = Text(request.Parameters, "version") };
        await calls.LoadAsync(request.ModelName, parameters, context.CancellationToken).ConfigureAwait(false);
        return new RepositoryModelLoadResponse();
    }, isOfRepository: true);

    public override Task<RepositoryModelUnloadResponse> RepositoryModelUnload(RepositoryModelUnloadRequest request, ServerCallContext context) => GuardAsync(context, request.ModelName, async () =>
    {
        await calls.UnloadAsync(request.ModelName, Text(request.Parameters, "version")).ConfigureAwait(false);
        return new RepositoryModelUnloadResponse();
    }, isOfRepository: true);

    private static string? Named(string text) => text.Length == 0 ? null : text;

    private static string? Text(Google.Protobuf.Collections.MapField<string, ModelRepositoryParameter> parameters, string name) =>
        parameters.TryGetValue(name, out var value) && value.ParameterChoiceCase == ModelRepositoryParameter.ParameterChoiceOneofCase.StringParam ? value.StringParam : null;

    private static ModelMetadataResponse.Types.TensorMetadata ToMetadata(TensorDocument tensor)
    {
        var metadata = new ModelMetadataResponse.Types.TensorMetadata { Name = tensor.Name, Datatype = tensor.Datatype };
        metadata.Shape.AddRange(tensor.Shape);
        return metadata;
    }

    private static StatisticDuration ToDuration(DurationDocument duration) => new() { Count = (ulong)duration.Count, Ns = (ulong)duration.Ns };

    /// <summary>Handles a call of a caller that may make it; what goes wrong becomes a status.</summary>
    private async Task<T> GuardAsync<T>(ServerCallContext context, string model, Func<Task<T>> handle, bool isOfRepository = false)
    {
        try
        {
            if (isOfRepository)
            {
                // Other keys were asked for before the message was read.
                calls.Authorize(context.RequestHeaders.GetValue("authorization"), isOfRepository);
            }
            return await handle().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            var refusal = calls.Refuse(model, e);
            if (refusal.RetryAfter is { } after)
            {
                context.ResponseTrailers.Add("retry-after", Math.Max(1, Math.Ceiling(after.TotalSeconds)).ToString(CultureInfo.InvariantCulture));
            }
            throw new RpcException(new Status(refusal.Code, refusal.Message));
        }
    }
}
