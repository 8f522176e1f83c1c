namespace MArk.Serving.Aws.Tests.Emulators;

/// <summary>Where emulators are installed.</summary>
internal static class EmulatorFiles
{
    /// <summary>The directory in which an emulator is installed: the one that a variable names, or <c>artifacts/emulators</c> of the repository. Where it is in neither the test is skipped, or fails if
    /// <c>MARK_REQUIRE_EMULATORS</c> is 1.</summary>
    /// <param name="emulator">Its name.</param>
    /// <param name="variable">The variable.</param>
    /// <param name="files">What must be there, relative to the directory.</param>
    public static string Require(string emulator, string variable, params string[] files)
    {
        if (Find(variable, files) is { } found)
        {
            return found;
        }
        var reason = $"{emulator} is not installed: {string.Join(" and ", files)} are looked for in {string.Join(" and ", Places(variable))} ({variable} names another directory).";
        Assert.SkipWhen(Environment.GetEnvironmentVariable("MARK_REQUIRE_EMULATORS") != "1", reason);
        throw new InvalidOperationException(reason);
    }

    /// <summary>Where an emulator is installed; nothing where it is not.</summary>
    public static string? Find(string variable, params string[] files) => Places(variable).FirstOrDefault(place => files.All(file => File.Exists(Path.Combine(place, file))));

    private static IEnumerable<string> Places(string variable) =>
        new[] { Environment.GetEnvironmentVariable(variable), Repository() is { } root ? Path.Combine(root, "artifacts", "emulators") : null }.OfType<string>();

    private static string? Repository()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "MArk.Serving.sln")))
        {
            directory = directory.Parent;
        }
        return directory?.FullName;
    }
}
