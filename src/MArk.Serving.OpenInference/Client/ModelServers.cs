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
}
