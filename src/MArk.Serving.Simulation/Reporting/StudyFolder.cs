using MArk.Serving.Prediction;

namespace MArk.Serving.Simulation.Reporting;

/// <summary>A file of a study.</summary>
/// <param name="Name">Its name in the folder.</param>
/// <param name="Content">All of it.</param>
internal sealed record StudyFile(string Name, byte[] Content);

/// <summary>The folder a study is written to.</summary>
internal static class StudyFolder
{
    public static void Try(string folder)
    {
        var probe = folder;
        try
        {
            Directory.CreateDirectory(folder);
            var (file, temporary) = WholeFile.CreateTemporary(Path.Combine(folder, "report.html"));
            probe = temporary;
            file.Dispose();
            File.Delete(temporary);
        }
        catch (Exception e) when (IsOfTheFileSystem(e))
        {
            throw new StudyOutputException(probe, e.Message, e);
        }
    }

    /// <summary>Writes all under other names, then renames them, the first last: that is the page, which is so never newer than what lies beside it.</summary>
    public static IReadOnlyList<string> Write(string folder, IReadOnlyList<StudyFile> files)
    {
        var written = new List<(string Temporary, string Path)>();
        var current = folder;
        try
        {
            foreach (var file in files)
            {
                current = Path.Combine(folder, file.Name);
                if (Directory.Exists(current))
                {
                    throw new StudyOutputException(current, "a folder has this name.");
                }
                var (stream, temporary) = WholeFile.CreateTemporary(current);
                written.Add((temporary, current));
                // Not forced to the disk: a study can be written again.
                using (stream)
                {
                    stream.Write(file.Content);
                }
            }
            foreach (var (temporary, path) in Enumerable.Reverse(written))
            {
                current = path;
                File.Move(temporary, path, overwrite: true);
            }
            return [.. written.Select(w => w.Path)];
        }
        catch (Exception e)
        {
            written.ForEach(w => Drop(w.Temporary));
            if (IsOfTheFileSystem(e))
            {
                throw new StudyOutputException(current, e.Message, e);
            }
            throw;
        }
    }

    private static void Drop(string temporary)
    {
        try
        {
            File.Delete(temporary);
        }
        catch (Exception e) when (IsOfTheFileSystem(e))
        {
            // What is wrong with the folder has been said; a file that stays behind ends in .tmp.
        }
    }

    private static bool IsOfTheFileSystem(Exception e) => e is IOException or UnauthorizedAccessException or NotSupportedException;
}
