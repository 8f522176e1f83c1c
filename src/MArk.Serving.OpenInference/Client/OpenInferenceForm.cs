namespace MArk.Serving.OpenInference;

/// <summary>In what form a server is spoken to.</summary>
public enum OpenInferenceForm
{
    /// <summary>Open Inference Protocol v2 over REST, tensors in the binary form after the JSON (the binary tensor data extension).</summary>
    RestBinary = 0,

    /// <summary>Open Inference Protocol v2 over REST, all in JSON: for servers without the extension.</summary>
    RestJson,

    /// <summary>Open Inference Protocol v2 over gRPC, which needs HTTP/2.</summary>
    Grpc,

    /// <summary>The older <c>/v1/models/{model}:predict</c>, as TensorFlow Serving has it. It tells nothing of a model's tensors: <see cref="OpenInferenceOptions.Signature"/> has to.</summary>
    PredictV1,
}
