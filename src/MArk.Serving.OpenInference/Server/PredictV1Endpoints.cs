using System.Buffers;
using MArk.Serving.OpenInference.Protocol;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace MArk.Serving.OpenInference.Server;

/// <summary>The v1 form: predictions, and whether a model is there.</summary>
internal sealed class PredictV1Endpoints(InferenceCalls calls)
{
    private readonly PredictV1Reader _reader = new(calls.Limits);

    public void Map(IEndpointRouteBuilder endpoints)
    {
        foreach (var model in new[] { "/v1/models/{model}", "/v1/models/{model}/versions/{version}" })
        {
            endpoints.MapGet(model, RestCall.Guard(calls, ReadyAsync));
            endpoints.MapPost($"{model}:predict", RestCall.Guard(calls, PredictAsync));
        }
    }

    private Task ReadyAsync(HttpContext context)
    {
        var model = calls.Find(RestCall.Model(context), RestCall.Version(context));
        context.Response.StatusCode = model.IsReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        var status = new PredictV1VersionDocument { Version = model.Version, State = model.IsReady ? "AVAILABLE" : "LOADING" };
        return RestCall.WriteAsync(context, new PredictV1StatusDocument { ModelVersionStatus = [status] }, RestJson.Readable.PredictV1StatusDocument);
    }

    private async Task PredictAsync(HttpContext context)
    {
        var model = calls.Find(RestCall.Model(context), RestCall.Version(context));
        var (rented, length) = await RestCall.ReadBodyAsync(context, calls.Limits.MaxBytes).ConfigureAwait(false);
        InferMessage request;
        bool isByRows;
        try
        {
            request = _reader.ReadRequest(rented.AsMemory(0, length), model.Signature.Inputs, out isByRows);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
        using (request)
        {
            using var answer = await calls.InferAsync(model, request, context.RequestAborted).ConfigureAwait(false);
            var body = new ArrayBufferWriter<byte>(4096);
            PredictV1Writer.WriteResponse(body, answer.Tensors, isByRows);
            context.Response.ContentType = "application/json";
            context.Response.ContentLength = body.WrittenCount;
            await context.Response.Body.WriteAsync(body.WrittenMemory, context.RequestAborted).ConfigureAwait(false);
        }
    }
}
