using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>Opens servers in the form that the options name.</summary>
internal static class ModelServers
{
    public static IModelServer Open(Uri endpoint, OpenInferenceOptions options) => options.Form switch
    {
        OpenInferenceForm.Grpc => new GrpcServer(endpoint, options),
        OpenInferenceForm.PredictV1 => new PredictV1Server(endpoint, options),
        _ => new RestServer(endpoint, options),
    };

    /// <summary>Whether an exception is a call's that came to nothing, or was given up.</summary>
    public static bool IsFailure(Exception e) => e is ServerException or WireFormatException or OperationCanceledException or HttpRequestException or IOException;
}
