using MArk.Serving.DependencyInjection;

namespace MArk.Serving.OpenInference;

/// <summary>What a server loads while it runs, and how.</summary>
public sealed class ModelRepositoryOptions
{
    /// <summary>
    /// Where files may come from: addresses of <c>https</c>, <c>http</c> or <c>file</c> that end with a slash, and allow all below them. Default none: nothing is loaded. Redirections are not followed.
    /// </summary>
    public IList<string> AllowedSources { get; } = [];

    /// <summary>
    /// Where files are kept, named by their digests, for this user alone; nothing is removed from it. Default: <c>mark-models</c> in the user's folder for data of applications.
    /// </summary>
    public string CacheDirectory { get; set; } =
        Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify) is { Length: > 0 } data ? data : Path.GetTempPath(), "mark-models");

    /// <summary>The most bytes of a file; at least 1. Default 16 GiB.</summary>
    public long MaxFileBytes { get; set; } = 16L << 30;

    /// <summary>The most versions that are loaded at a time, 1 to 1024. Default 16.</summary>
    public int MaxVersions { get; set; } = 16;

    /// <summary>
    /// Sets a model up whose file was fetched, such as <c>(model, file) => model.UseOnnx(file)</c>. Its requests and answers are named tensors. Required.
    /// </summary>
    public Action<ModelBuilder<NamedTensors, NamedTensors>, string>? Serve { get; set; }

    internal IReadOnlyList<Uri> Check()
    {
        if (Serve is null)
        {
            throw new ServingException($"{nameof(ModelRepositoryOptions)}.{nameof(Serve)} is null; accepted: what sets a model up, such as (model, file) => model.UseOnnx(file).");
        }
        if (MaxFileBytes < 1)
        {
            throw new ServingException(FormattableString.Invariant($"{nameof(ModelRepositoryOptions)}.{nameof(MaxFileBytes)} is {MaxFileBytes}; accepted: at least 1."));
        }
        if (MaxVersions is < 1 or > 1024)
        {
            throw new ServingException(FormattableString.Invariant($"{nameof(ModelRepositoryOptions)}.{nameof(MaxVersions)} is {MaxVersions}; accepted: 1 to 1024."));
        }
        return [.. AllowedSources.Select(source => Uri.TryCreate(source, UriKind.Absolute, out var uri) && source.EndsWith('/')
            ? uri
            : throw new ServingException($"{nameof(ModelRepositoryOptions)}.{nameof(AllowedSources)} has '{source}'; accepted: absolute addresses that end with a slash."))];
    }
}
