using System.Security.Cryptography;

namespace MArk.Serving.OpenInference.Delivery;

/// <summary>Fetches models' files from where they may come from, and keeps those whose digest is right under that digest.</summary>
internal sealed class ArtifactStore : IDisposable
{
    private const int BufferSize = 1 << 16;

    private readonly ModelRepositoryOptions _options;
    private readonly IReadOnlyList<Uri> _sources;
    private readonly HttpClient _http;
    private readonly SemaphoreSlim _fetching = new(1);

    /// <exception cref="ServingException">An option is outside its range; names it.</exception>
    public ArtifactStore(ModelRepositoryOptions options, HttpMessageHandler? handler = null)
    {
        _options = options;
        _sources = options.Check();
        // A redirection would lead elsewhere than to where files may come from.
        _http = new HttpClient(handler ?? new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>The path of an artifact's file, which is there and has the digest.</summary>
    /// <exception cref="ModelLoadException">It may not come from there, cannot be had, or has another digest.</exception>
    public async Task<string> GetAsync(ModelArtifact artifact, CancellationToken cancellationToken)
    {
        artifact.Check();
        RequireAllowed(artifact);
        // Of the digest alone, 64 hexadecimal digits: no name that a client chooses becomes part of a path.
        var digest = artifact.Sha256.ToLowerInvariant();
        var path = Path.Combine(_options.CacheDirectory, digest);
        await _fetching.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (!File.Exists(path) || await DigestOfAsync(path, cancellationToken).ConfigureAwait(false) != digest)
            {
                await FetchAsync(artifact, digest, path, cancellationToken).ConfigureAwait(false);
            }
            return path;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or HttpRequestException)
        {
            throw new ModelLoadException(artifact.Shown, $"it cannot be fetched: {e.Message}", e);
        }
        finally
        {
            _fetching.Release();
        }
    }

    public void Dispose()
    {
        _http.Dispose();
        _fetching.Dispose();
    }

    private void RequireAllowed(ModelArtifact artifact)
    {
        var uri = artifact.Uri;
        foreach (var source in _sources)
        {
            // Addresses are in their normal form here: nothing in them leads upwards.
            if (source.Scheme == uri.Scheme && source.Authority == uri.Authority && uri.UserInfo.Length == 0 && uri.AbsolutePath.StartsWith(source.AbsolutePath, StringComparison.Ordinal)
                && !uri.AbsolutePath.Contains("%2f", StringComparison.OrdinalIgnoreCase) && !uri.AbsolutePath.Contains("%5c", StringComparison.OrdinalIgnoreCase))
            {
                return;
            }
        }
        throw new ModelLoadException(artifact.Shown, _sources.Count == 0
            ? $"nothing may be loaded here; {nameof(ModelRepositoryOptions.AllowedSources)} is empty."
            : $"it is not below any of the addresses that files may come from: {string.Join(", ", _sources)}.");
    }

    private async Task FetchAsync(ModelArtifact artifact, string wanted, string path, CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(_options.CacheDirectory);
        }
        else
        {
            // For nobody else to put a file of theirs in the place of one that was checked.
            Directory.CreateDirectory(_options.CacheDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        var part = $"{path}.{Path.GetRandomFileName()}.part";
        try
        {
            string digest;
            var file = new FileStream(part, FileMode.CreateNew, FileAccess.Write, FileShare.None, BufferSize, useAsync: true);
            await using (file.ConfigureAwait(false))
            {
                digest = await CopyAsync(artifact, file, cancellationToken).ConfigureAwait(false);
            }
            if (digest != wanted)
            {
                throw new ModelLoadException(artifact.Shown, $"its SHA-256 is {digest}; accepted: {wanted}.");
            }
            File.Move(part, path, overwrite: true);
        }
        finally
        {
            File.Delete(part);
        }
    }

    private async Task<string> CopyAsync(ModelArtifact artifact, FileStream target, CancellationToken cancellationToken)
    {
        if (artifact.Uri.IsFile)
        {
            var file = new FileStream(artifact.Uri.LocalPath, FileMode.Open, FileAccess.Read, FileShare.Read, BufferSize, useAsync: true);
            await using (file.ConfigureAwait(false))
            {
                return await CopyAsync(file, target, artifact, cancellationToken).ConfigureAwait(false);
            }
        }
        using var response = await _http.GetAsync(artifact.Uri, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode)
        {
            throw new ModelLoadException(artifact.Shown, FormattableString.Invariant($"the server answered {(int)response.StatusCode} {response.ReasonPhrase}."));
        }
        var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        return await CopyAsync(body, target, artifact, cancellationToken).ConfigureAwait(false);
    }

    private async Task<string> CopyAsync(Stream source, FileStream target, ModelArtifact artifact, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[BufferSize];
        var copied = 0L;
        while (await source.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var read)
        {
            copied += read;
            if (copied > _options.MaxFileBytes)
            {
                throw new ModelLoadException(artifact.Shown, FormattableString.Invariant($"it has more than the {_options.MaxFileBytes} bytes that a file may have."));
            }
            hash.AppendData(buffer, 0, read);
            await target.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static async Task<string> DigestOfAsync(string path, CancellationToken cancellationToken)
    {
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, BufferSize, useAsync: true);
        await using (file.ConfigureAwait(false))
        {
            return Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken).ConfigureAwait(false));
        }
    }
}
