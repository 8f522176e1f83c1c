namespace MArk.Serving.Prediction;

/// <summary>
/// Keeps each model's arrival history in a file of a directory. A save writes another file, flushes it to the disk and renames it, so that the file is whole whenever it
/// is read. Where several hosts save the same model's into the same directory, the last one wins: the file is always one host's history, never a mix.
/// </summary>
/// <remarks>
/// A process that is killed in the middle of a save leaves a file ending in <c>.tmp</c> behind, which may be deleted. What was set aside ends in
/// <c>.aside-1</c>, <c>.aside-2</c> and so on.
/// </remarks>
public sealed class FileArrivalHistoryStore : IArrivalHistoryStore
{
    private readonly string _directory;

    /// <summary>A store in a directory.</summary>
    /// <param name="directory">The directory, made with the first save if there is none. A relative path is taken from the process's current directory, now.</param>
    /// <exception cref="ArgumentException">The path is empty, or no path.</exception>
    public FileArrivalHistoryStore(string directory)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        _directory = Path.GetFullPath(directory);
    }

    /// <summary>
    /// A model's file. Small letters of the alphabet, digits, '-' and '_' of its name are kept, anything else is <c>%</c> and four hexadecimal digits, so that no two models
    /// have the same file, on file systems that do not tell capitals apart either. Very long names are cut, and end in a hash.
    /// </summary>
    /// <param name="modelName">The model.</param>
    /// <returns>The full path.</returns>
    public string PathOf(string modelName)
    {
        ArgumentException.ThrowIfNullOrEmpty(modelName);
        // With a prefix, since some names are devices on Windows, whatever they end in.
        return Path.Combine(_directory, $"arrivals-{FileNames.Of(modelName)}.history");
    }

    /// <inheritdoc/>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It must not be.</exception>
    public async ValueTask<ReadOnlyMemory<byte>?> LoadAsync(string modelName, CancellationToken cancellationToken)
    {
        try
        {
            return await File.ReadAllBytesAsync(PathOf(modelName), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            // Nothing was saved yet.
            return null;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="IOException">The file cannot be written: the disk is full, for one.</exception>
    /// <exception cref="UnauthorizedAccessException">It must not be.</exception>
    public async ValueTask SaveAsync(string modelName, ReadOnlyMemory<byte> history, CancellationToken cancellationToken)
    {
        var path = PathOf(modelName);
        Directory.CreateDirectory(_directory);
        var (file, temporary) = WholeFile.CreateTemporary(path, FileOptions.Asynchronous);
        try
        {
            await using (file.ConfigureAwait(false))
            {
                await file.WriteAsync(history, cancellationToken).ConfigureAwait(false);
                file.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="IOException">The file cannot be renamed.</exception>
    /// <exception cref="UnauthorizedAccessException">It must not be.</exception>
    public ValueTask<string?> SetAsideAsync(string modelName, CancellationToken cancellationToken) => new(WholeFile.SetAside(PathOf(modelName), cancellationToken));
}
