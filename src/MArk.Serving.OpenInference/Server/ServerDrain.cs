namespace MArk.Serving.OpenInference;

/// <summary>
/// Says that this server will be gone soon: from then on it tells whoever asks that it is not ready, and when it ends, so that its clients take their work elsewhere in time. What reaches it still
/// is served. A singleton of <see cref="Microsoft.Extensions.DependencyInjection.OpenInferenceServiceCollectionExtensions.AddOpenInferenceServer"/>. Thread-safe.
/// </summary>
public sealed class ServerDrain
{
    private volatile Ending? _ending;

    /// <summary>Whether the server will be gone soon.</summary>
    public bool HasBegun => _ending is not null;

    /// <summary>When it will be gone; <see langword="null"/> where that is not known, or <see cref="HasBegun"/> is not.</summary>
    public DateTimeOffset? EndsAt => _ending?.At;

    /// <summary>Begins to drain. Beginning again changes when it ends.</summary>
    /// <param name="endsAt">When the server will be gone; <see langword="null"/> where that is not known.</param>
    public void Begin(DateTimeOffset? endsAt = null) => _ending = new Ending(endsAt);

    private sealed record Ending(DateTimeOffset? At);
}
