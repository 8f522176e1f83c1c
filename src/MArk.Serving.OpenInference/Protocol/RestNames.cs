namespace MArk.Serving.OpenInference.Protocol;

/// <summary>Names of the REST form.</summary>
internal static class RestNames
{
    /// <summary>How many bytes of a body are JSON, where tensors follow it.</summary>
    public const string HeaderLength = "Inference-Header-Content-Length";

    /// <summary>When the machine of a server that is not ready any more is taken away: an instant as ISO 8601 has it, or <c>unknown</c>.</summary>
    public const string EndsAt = "MArk-Instance-Ends-At";

    /// <summary>The address of a model, relative to the server's.</summary>
    public static string ModelPath(string model, string? version) => version is null
        ? $"v2/models/{Uri.EscapeDataString(model)}"
        : $"v2/models/{Uri.EscapeDataString(model)}/versions/{Uri.EscapeDataString(version)}";

    /// <summary>The address of a model in the v1 form.</summary>
    public static string PredictV1Path(string model, string? version) => version is null
        ? $"v1/models/{Uri.EscapeDataString(model)}"
        : $"v1/models/{Uri.EscapeDataString(model)}/versions/{Uri.EscapeDataString(version)}";

    /// <summary>A server's address, to which paths can be added.</summary>
    public static Uri Base(Uri endpoint) => endpoint.AbsolutePath.EndsWith('/') ? endpoint : new Uri(endpoint.AbsoluteUri + "/");
}
