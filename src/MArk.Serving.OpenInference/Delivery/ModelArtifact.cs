namespace MArk.Serving.OpenInference;

/// <summary>A model's file: where a worker gets it, and how it knows that it is the right one.</summary>
public sealed record ModelArtifact
{
    /// <summary>Where the file is: <c>https</c> or <c>http</c>, or <c>file</c> for a path that workers share.</summary>
    public required Uri Uri { get; init; }

    /// <summary>The SHA-256 of the file, 64 hexadecimal digits. A worker loads nothing else.</summary>
    public required string Sha256 { get; init; }

    /// <summary>The version's name: 1 to 64 letters, digits, dots, dashes or underscores.</summary>
    public required string Version { get; init; }

    /// <summary>The artifact of a file of this machine: its address, and its digest as it is now.</summary>
    /// <param name="path">The file.</param>
    /// <param name="version">The version's name.</param>
    /// <returns>The artifact.</returns>
    /// <exception cref="ModelLoadException">The file cannot be read.</exception>
    public static ModelArtifact OfFile(string path, string version)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            using var file = File.OpenRead(path);
            return new ModelArtifact { Uri = new Uri(Path.GetFullPath(path)), Sha256 = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(file)), Version = version };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelLoadException(path, $"it cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The address without what may be secret in it: a user, a signature.</summary>
    internal string Shown => Uri.IsAbsoluteUri ? Uri.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped) : "(relative)";

    /// <exception cref="ModelLoadException">A value is none; says which and what is accepted.</exception>
    internal void Check()
    {
        if (!Uri.IsAbsoluteUri || (Uri.Scheme != Uri.UriSchemeHttps && Uri.Scheme != Uri.UriSchemeHttp && Uri.Scheme != Uri.UriSchemeFile))
        {
            throw new ModelLoadException(Shown, "it is no address of a model; accepted: an absolute address of https, http or file.");
        }
        if (Sha256 is not { Length: 64 } || !Sha256.All(char.IsAsciiHexDigit))
        {
            throw new ModelLoadException(Shown, $"its digest is '{Sha256}'; accepted: a SHA-256, 64 hexadecimal digits.");
        }
        if (!IsVersion(Version))
        {
            throw new ModelLoadException(Shown, $"its version is '{Version}'; accepted: 1 to 64 letters, digits, dots, dashes or underscores, that are not only dots.");
        }
    }

    internal static bool IsVersion(string? version) =>
        version is { Length: >= 1 and <= 64 } && version.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_') && version.Any(c => c != '.');
}
