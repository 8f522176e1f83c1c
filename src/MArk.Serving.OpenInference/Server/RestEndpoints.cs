using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using MArk.Serving.OpenInference.Protocol;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace MArk.Serving.OpenInference.Server;

/// <summary>Open Inference Protocol v2 over REST, with Triton's repository and statistics calls.</summary>
internal sealed class RestEndpoints(InferenceCalls calls)
{
    private const int FlushSize = 64 << 10;

    private readonly InferMessageReader _reader = new(calls.Limits);

    public void Map(IEndpointRouteBuilder endpoints)
    {
        // A probe brings no key.
        endpoints.MapGet("/v2/health/live", static context => RestCall.WriteAsync(context, new LiveDocument { Live = true }, RestJson.Readable.LiveDocument));
        endpoints.MapGet("/v2/health/ready", ServerReadyAsync);
        Get(endpoints, "/v2", context => RestCall.WriteAsync(context, calls.Server(), RestJson.Default.ServerMetadataDocument));
        foreach (var model in new[] { "/v2/models/{model}", "/v2/models/{model}/versions/{version}" })
        {
            Get(endpoints, model, context => RestCall.WriteAsync(context, calls.Metadata(RestCall.Model(context), RestCall.Version(context)), RestJson.Default.ModelMetadataDocument));
            Get(endpoints, $"{model}/ready", ReadyAsync);
            Get(endpoints, $"{model}/stats", context => StatisticsAsync(context, RestCall.Model(context)));
            Post(endpoints, $"{model}/infer", InferAsync);
        }
        Get(endpoints, "/v2/models/stats", context => StatisticsAsync(context, null));
        Post(endpoints, "/v2/repository/index", IndexAsync);
        Post(endpoints, "/v2/repository/models/{model}/load", LoadAsync, isOfRepository: true);
        Post(endpoints, "/v2/repository/models/{model}/unload", UnloadAsync, isOfRepository: true);
    }

    private void Get(IEndpointRouteBuilder endpoints, string pattern, Func<HttpContext, Task> handle) => endpoints.MapGet(pattern, RestCall.Guard(calls, handle));

    private void Post(IEndpointRouteBuilder endpoints, string pattern, Func<HttpContext, Task> handle, bool isOfRepository = false) =>
        endpoints.MapPost(pattern, RestCall.Guard(calls, handle, isOfRepository));

    private Task ServerReadyAsync(HttpContext context)
    {
        if (calls.Drain.HasBegun)
        {
            context.Response.Headers[RestNames.EndsAt] = calls.Drain.EndsAt?.ToString("O", CultureInfo.InvariantCulture) ?? "unknown";
        }
        return RestCall.WriteReadyAsync(context, null, calls.IsReady);
    }

    private Task ReadyAsync(HttpContext context)
    {
        var model = calls.Find(RestCall.Model(context), RestCall.Version(context));
        return RestCall.WriteReadyAsync(context, model.Name, model.IsReady);
    }

    private Task StatisticsAsync(HttpContext context, string? model) =>
        RestCall.WriteAsync(context, new ModelStatisticsDocument { ModelStats = calls.Statistics(model, RestCall.Version(context)) }, RestJson.Default.ModelStatisticsDocument);

    private async Task InferAsync(HttpContext context)
    {
        var model = calls.Find(RestCall.Model(context), RestCall.Version(context));
        var (rented, length) = await RestCall.ReadBodyAsync(context, calls.Limits.MaxBytes).ConfigureAwait(false);
        InferMessage request;
        try
        {
            request = _reader.ReadRequest(rented.AsMemory(0, length), HeaderLength(context.Request));
        }
        catch
        {
            ArrayPool<byte>.Shared.Return(rented);
            throw;
        }
        request.Own(rented);
        using (request)
        {
            using var answer = await calls.InferAsync(model, request, context.RequestAborted).ConfigureAwait(false);
            await WriteAsync(context.Response, request, answer, context.RequestAborted).ConfigureAwait(false);
        }
    }

    private static int? HeaderLength(HttpRequest request)
    {
        var text = request.Headers[RestNames.HeaderLength];
        if (text.Count == 0)
        {
            return null;
        }
        return text.Count == 1 && int.TryParse(text[0], NumberStyles.None, CultureInfo.InvariantCulture, out var length)
            ? length
            : throw new WireFormatException(RestNames.HeaderLength, $"it is '{DataTypes.Shortened(text.ToString())}'; accepted: a number of bytes.");
    }

    private static async Task WriteAsync(HttpResponse response, InferMessage request, InferMessage answer, CancellationToken cancellationToken)
    {
        var isBinary = new bool[answer.Tensors.Count];
        var length = 0L;
        for (var i = 0; i < isBinary.Length; i++)
        {
            isBinary[i] = (request.RequestedOutputs.Count > 0 ? request.RequestedOutputs[i].IsBinary : null) ?? request.WantsBinary;
            length += isBinary[i] ? answer.Tensors[i].Data.Length : 0;
        }
        var header = new ArrayBufferWriter<byte>(1024);
        InferMessageWriter.WriteResponse(header, answer, isBinary);
        var hasBinary = Array.IndexOf(isBinary, true) >= 0;
        response.ContentType = hasBinary ? "application/octet-stream" : "application/json";
        response.ContentLength = header.WrittenCount + length;
        if (hasBinary)
        {
            response.Headers[RestNames.HeaderLength] = header.WrittenCount.ToString(CultureInfo.InvariantCulture);
        }
        // A small answer leaves as a whole: each flush is a packet that the client would wait for.
        response.BodyWriter.Write(header.WrittenSpan);
        for (var i = 0; i < isBinary.Length; i++)
        {
            for (var rest = isBinary[i] ? answer.Tensors[i].Data : default; !rest.IsEmpty; rest = rest[Math.Min(rest.Length, FlushSize)..])
            {
                response.BodyWriter.Write(rest.Span[..Math.Min(rest.Length, FlushSize)]);
                if (rest.Length >= FlushSize)
                {
                    await response.BodyWriter.FlushAsync(cancellationToken).ConfigureAwait(false);
                }
            }
        }
        await response.BodyWriter.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task IndexAsync(HttpContext context)
    {
        var query = await RestCall.ReadAsync(context, RestJson.Default.RepositoryIndexQuery).ConfigureAwait(false);
        await RestCall.WriteAsync(context, calls.Index(query?.Ready ?? false), RestJson.Readable.RepositoryModelDocumentArray).ConfigureAwait(false);
    }

    private async Task LoadAsync(HttpContext context)
    {
        var call = await RestCall.ReadAsync(context, RestJson.Default.RepositoryCallDocument).ConfigureAwait(false);
        await calls.LoadAsync(RestCall.Model(context), call?.Parameters, context.RequestAborted).ConfigureAwait(false);
        await RestCall.EndAsync(context, StatusCodes.Status200OK).ConfigureAwait(false);
    }

    private async Task UnloadAsync(HttpContext context)
    {
        var call = await RestCall.ReadAsync(context, RestJson.Default.RepositoryCallDocument).ConfigureAwait(false);
        await calls.UnloadAsync(RestCall.Model(context), call?.Parameters?.Version).ConfigureAwait(false);
        await RestCall.EndAsync(context, StatusCodes.Status200OK).ConfigureAwait(false);
    }
}
