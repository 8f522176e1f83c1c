namespace MArk.Serving.OpenInference;

/// <summary>How a host's models are served to clients of the Open Inference Protocol.</summary>
public sealed class OpenInferenceServerOptions
{
    /// <summary>The server's name in its metadata. Default <c>MArk.Serving</c>.</summary>
    public string ServerName { get; set; } = "MArk.Serving";

    /// <summary>What a request may be at most.</summary>
    public WireLimits Limits { get; set; } = new();

    /// <summary>
    /// The keys that callers may bring, as <c>Authorization: Bearer</c>; with none, the default, all callers are served. Health is told to anybody. Never logged.
    /// </summary>
    public IList<string> ApiKeys { get; } = [];

    /// <summary>
    /// The keys of those that may load and unload models, where others may only ask them; with none, the default, whoever is served may. Never logged.
    /// </summary>
    public IList<string> RepositoryKeys { get; } = [];

    internal Dictionary<string, Func<object>> Codecs { get; } = new(StringComparer.Ordinal);

    internal HashSet<string> Hidden { get; } = new(StringComparer.Ordinal);

    /// <summary>
    /// Says how a model's types are made of tensors. Models of <see cref="NamedTensors"/> and of <c>float[]</c> need no such mapping; any other model needs one, or <see cref="Hide"/>.
    /// </summary>
    /// <typeparam name="TIn">A request's input.</typeparam>
    /// <typeparam name="TOut">A request's answer.</typeparam>
    /// <param name="model">The model's name.</param>
    /// <param name="create">Makes the mapping.</param>
    /// <returns>These options.</returns>
    public OpenInferenceServerOptions Map<TIn, TOut>(string model, Func<IEndpointCodec<TIn, TOut>> create)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(model);
        ArgumentNullException.ThrowIfNull(create);
        Codecs[model] = create;
        return this;
    }

    /// <summary>Leaves a model out: clients do not see it.</summary>
    /// <param name="model">The model's name.</param>
    /// <returns>These options.</returns>
    public OpenInferenceServerOptions Hide(string model)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(model);
        Hidden.Add(model);
        return this;
    }
}
