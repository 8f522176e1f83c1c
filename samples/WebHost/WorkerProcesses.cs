namespace WebHost;

/// <summary>The worker processes of a host, as the machine lists them.</summary>
internal static class WorkerProcesses
{
    /// <summary>The processes whose parent is another, oldest first; none where the machine has no such list.</summary>
    public static IReadOnlyList<int> Of(int parent) => !OperatingSystem.IsLinux() ? [] :
    [
        .. Directory.EnumerateDirectories("/proc").Select(path => int.TryParse(Path.GetFileName(path), out var id) ? id : 0).Where(id => id != 0 && ParentOf(id) == parent).Order(),
    ];

    private static int ParentOf(int process)
    {
        try
        {
            // The name of the program, in parentheses, may hold anything.
            var stat = File.ReadAllText($"/proc/{process}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It has ended meanwhile.
            return 0;
        }
    }
}
