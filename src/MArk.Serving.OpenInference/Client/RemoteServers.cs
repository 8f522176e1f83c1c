using MArk.Serving.OpenInference.Protocol;

namespace MArk.Serving.OpenInference.Client;

/// <summary>Opens servers in the form that the options name.</summary>
internal static class RemoteServers
{
    public static IRemoteServer Open(Uri endpoint, OpenInferenceOptions options) => options.Form switch
    {
        OpenInferenceForm.Grpc => new GrpcRemoteServer(endpoint, options),
        OpenInferenceForm.PredictV1 => new PredictV1RemoteServer(endpoint, options),
        _ => new RestRemoteServer(endpoint, options),
    };

    /// <summary>Whether an exception is a call's that came to nothing, or was given up.</summary>
    public static bool IsFailure(Exception e) => e is RemoteServerException or WireFormatException or OperationCanceledException or HttpRequestException or IOException;
}
