using System.Net;

namespace MArk.Serving.OpenInference;

/// <summary>How a model on other machines is reached.</summary>
public sealed class OpenInferenceOptions
{
    private const int MaxPipelineDepth = 64;

    /// <summary>The model's name there.</summary>
    public required string Model { get; init; }

    /// <summary>The version to ask for; <see langword="null"/>, the default, leaves it to the server.</summary>
    public string? Version { get; init; }

    /// <summary>In what form the servers are spoken to. Default <see cref="OpenInferenceForm.RestBinary"/>.</summary>
    public OpenInferenceForm Form { get; init; }

    /// <summary>
    /// The model's tensors. <see langword="null"/>, the default: as the first server says; until one has, requests are refused with <see cref="RejectionReason.NoCapacity"/>. The first
    /// dimension there is taken to be the batch, and is not part of a <see cref="TensorSpec.ItemShape"/>.
    /// </summary>
    public ModelSignature? Signature { get; init; }

    /// <summary>The most items that a server takes in one call; at least 1. Default: no limit besides the model's own settings.</summary>
    public int MaxBatchSize { get; init; } = int.MaxValue;

    /// <summary>How many calls to one server may be under way, 1 to 64: with more than one, the next batch is there when the last one ends. Default 2.</summary>
    public int PipelineDepth { get; init; } = 2;

    /// <summary>After this time at most a call is given up, and the server put out of rotation; more than 0. Default 30 s.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Once a server has answered, a call is given up after eight times as long as its slow calls take, but after this time at the earliest and <see cref="CallTimeout"/> at the latest:
    /// more than 0. Default 200 ms. What a server that hangs had is run elsewhere after that, so it should leave room in the objective.
    /// </summary>
    public TimeSpan LeastCallTimeout { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>How long a server may take to have the model ready, from the first connection; more than 0. Default 5 min.</summary>
    public TimeSpan ReadyTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// After this time a call that is not answered is sent to another server too, and the first answer counts; <see langword="null"/>, the default, never. It costs that server the time of a batch.
    /// </summary>
    public TimeSpan? HedgeAfter { get; init; }

    /// <summary>What an answer may be at most.</summary>
    public WireLimits Limits { get; init; } = new();

    /// <summary>
    /// The version of HTTP that REST is spoken in: 1.1, the default, or 2.0, by which calls share a connection. Over <c>http</c> the server must speak 2.0 without negotiation. gRPC always speaks 2.0.
    /// </summary>
    public Version HttpVersion { get; init; } = System.Net.HttpVersion.Version11;

    /// <summary>Sent with each call as <c>Authorization: Bearer</c>; none by default. Never logged.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Sets the connections up: a client certificate, the certificates that are trusted, a proxy.</summary>
    public Action<System.Net.Http.SocketsHttpHandler>? ConfigureHandler { get; init; }

    /// <summary>Where an instance is spoken to; <see langword="null"/>, the default, at its <see cref="InstanceDescriptor.Endpoint"/>.</summary>
    public Func<InstanceDescriptor, Uri?>? EndpointOf { get; init; }

    /// <summary>What servers are to load before they serve; <see langword="null"/>, the default, nothing: they have the model.</summary>
    public ModelArtifact? Artifact { get; init; }

    /// <summary>
    /// Whether a version is unloaded from its instances when this host does not use it any more. Default <see langword="true"/>; <see langword="false"/> where other hosts serve from the same
    /// instances, which would lose it.
    /// </summary>
    public bool UnloadsVersions { get; init; } = true;

    /// <summary>The version that is asked for: the artifact's, where there is one.</summary>
    internal string? VersionToAsk => Artifact?.Version ?? Version;

    internal void Check()
    {
        Require(!string.IsNullOrWhiteSpace(Model) && Model is not ("." or ".."), nameof(Model), $"'{Model}'", "the name of a model");
        Require(Enum.IsDefined(Form), nameof(Form), (int)Form, string.Join(", ", Enum.GetNames<OpenInferenceForm>()));
        Require(MaxBatchSize >= 1, nameof(MaxBatchSize), MaxBatchSize, "at least 1");
        Require(PipelineDepth is >= 1 and <= MaxPipelineDepth, nameof(PipelineDepth), PipelineDepth, $"1 to {MaxPipelineDepth}");
        Require(CallTimeout > TimeSpan.Zero, nameof(CallTimeout), CallTimeout, "more than 0");
        Require(LeastCallTimeout > TimeSpan.Zero && LeastCallTimeout <= CallTimeout, nameof(LeastCallTimeout), LeastCallTimeout, $"more than 0, at most CallTimeout, {CallTimeout}");
        Require(ReadyTimeout > TimeSpan.Zero, nameof(ReadyTimeout), ReadyTimeout, "more than 0");
        Require(HedgeAfter is null || HedgeAfter > TimeSpan.Zero, nameof(HedgeAfter), HedgeAfter, "more than 0, or null for never");
        Require(HttpVersion == System.Net.HttpVersion.Version11 || HttpVersion == System.Net.HttpVersion.Version20, nameof(HttpVersion), HttpVersion, "1.1 and 2.0");
        Require(Form != OpenInferenceForm.PredictV1 || Signature is not null, nameof(Signature), "null", "the model's tensors, as the v1 form tells nothing of them");
        Require(Form != OpenInferenceForm.PredictV1 || Artifact is null, nameof(Artifact), "given", "null, as nothing can be loaded by the v1 form");
        Require(Artifact is null || Version is null || Version == Artifact.Version, nameof(Version), Version, $"the artifact's, {Artifact?.Version}, or null");
        if (Limits.Violation is { } violation)
        {
            throw new ModelLoadException(Model, $"{nameof(Limits)}.{violation}");
        }
        Artifact?.Check();
    }

    private void Require<T>(bool holds, string option, T value, string accepted)
    {
        if (!holds)
        {
            throw new ModelLoadException(Model, FormattableString.Invariant($"{option} is {value}; accepted: {accepted}."));
        }
    }
}
