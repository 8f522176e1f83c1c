using System.Globalization;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace MArk.Serving.OpenInference.Server;

/// <summary>Asks for a key before a message of gRPC is read, which as a whole is in memory then.</summary>
internal static class GrpcKeys
{
    // A probe brings no key.
    private static readonly string[] Probes = ["/ServerLive", "/ServerReady"];

    public static RequestDelegate Guard(InferenceCalls calls, RequestDelegate handle) => context =>
    {
        var path = context.Request.Path.Value ?? "";
        if (!Array.Exists(Probes, probe => path.EndsWith(probe, StringComparison.Ordinal)))
        {
            try
            {
                calls.Authorize(context.Request.Headers.Authorization);
            }
            catch (ApiKeyException e)
            {
                // As gRPC has an answer that is a status alone.
                context.Response.ContentType = "application/grpc";
                context.Response.Headers["grpc-status"] = ((int)StatusCode.Unauthenticated).ToString(CultureInfo.InvariantCulture);
                context.Response.Headers["grpc-message"] = Uri.EscapeDataString(e.Message);
                return Task.CompletedTask;
            }
        }
        return handle(context);
    };
}
