namespace MArk.Serving.Prediction;

/// <summary>
/// Files that are whole whenever they are read: another file is written, flushed to the disk and renamed. One that cannot be used is renamed, never deleted. Also compiled
/// into packages that keep files of their own.
/// </summary>
internal static class WholeFile
{
    private static int s_saves;

    /// <summary>A file of its own for each save, also where several hosts, or processes of the same number on several machines, save at the same time.</summary>
    /// <param name="path">The file that it will be.</param>
    /// <param name="options">How it is written.</param>
    public static (FileStream File, string Path) CreateTemporary(string path, FileOptions options = FileOptions.None)
    {
        while (true)
        {
            var temporary = FormattableString.Invariant($"{path}.{Environment.ProcessId}-{Interlocked.Increment(ref s_saves)}.tmp");
            try
            {
                return (new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, options), temporary);
            }
            catch (IOException) when (File.Exists(temporary))
            {
                // Left behind by a process that was killed, or another machine's: the next one.
            }
        }
    }

    /// <summary>Writes a file, in place of the one that is there.</summary>
    /// <param name="path">The file.</param>
    /// <param name="content">All of it.</param>
    /// <exception cref="IOException">It cannot be written: the disk is full, for one.</exception>
    /// <exception cref="UnauthorizedAccessException">It must not be.</exception>
    public static void Write(string path, ReadOnlySpan<byte> content)
    {
        var (file, temporary) = CreateTemporary(path);
        try
        {
            using (file)
            {
                file.Write(content);
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

    /// <summary>Renames a file that cannot be used to the first of <c>.aside-1</c>, <c>.aside-2</c> and so on that is free.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What it is called now; <see langword="null"/> if it is not there any more.</returns>
    /// <exception cref="IOException">It cannot be renamed.</exception>
    /// <exception cref="UnauthorizedAccessException">It must not be.</exception>
    public static string? SetAside(string path, CancellationToken cancellationToken = default)
    {
        for (var number = 1; ; number++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var aside = FormattableString.Invariant($"{path}.aside-{number}");
            if (Path.Exists(aside))
            {
                continue;
            }
            try
            {
                File.Move(path, aside, overwrite: false);
                return aside;
            }
            catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
            {
                // Another host has set it aside.
                return null;
            }
            catch (IOException) when (Path.Exists(aside))
            {
                // Another host has taken this number meanwhile: the next one.
            }
        }
    }
}
