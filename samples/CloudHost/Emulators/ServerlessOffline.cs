using System.Diagnostics;
using System.Globalization;

namespace CloudHost.Emulators;

/// <summary>
/// The functions of <c>Emulators/serverless</c>, run by serverless-offline on ports of their own: Lambda's Invoke API, without an account or a network. The packages <c>serverless@3</c> and
/// <c>serverless-offline@13</c> are looked for in <c>node_modules</c> of the directory that <c>MARK_SERVERLESS_DIR</c> names, or of <c>artifacts/emulators</c> of the repository.
/// </summary>
internal sealed class ServerlessOffline : IAsyncDisposable
{
    public const string Install = "npm install --prefix artifacts/emulators serverless@3.40.0 serverless-offline@13.10.1";

    private readonly EmulatorProcess _process;
    private readonly string _directory;

    private ServerlessOffline(EmulatorProcess process, string directory, Uri address) => (_process, _directory, Address) = (process, directory, address);

    /// <summary>Where the Invoke API is.</summary>
    public Uri Address { get; }

    public static bool IsInstalled => Modules is not null && EmulatorProcess.Find("node") is not null;

    private static string? Modules => new[] { Environment.GetEnvironmentVariable("MARK_SERVERLESS_DIR"), Repository is { } root ? Path.Combine(root, "artifacts", "emulators") : null }
        .OfType<string>().Select(place => Path.Combine(place, "node_modules"))
        .FirstOrDefault(modules => File.Exists(Path.Combine(modules, "serverless", "bin", "serverless.js")) && Directory.Exists(Path.Combine(modules, "serverless-offline")));

    private static string? Repository
    {
        get
        {
            var directory = new DirectoryInfo(AppContext.BaseDirectory);
            while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "MArk.Serving.sln")))
            {
                directory = directory.Parent;
            }
            return directory?.FullName;
        }
    }

    /// <summary>Starts the functions, and returns when they can be invoked.</summary>
    /// <param name="upstream">The server that functions hand their events on to.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="EmulatorException">It is not installed, or does not start.</exception>
    public static async Task<ServerlessOffline> StartAsync(Uri upstream, CancellationToken cancellationToken = default)
    {
        var modules = IsInstalled ? Modules! : throw new EmulatorException($"serverless-offline, or node, is not installed: {Install}");
        var directory = Directory.CreateTempSubdirectory("mark-serverless-").FullName;
        foreach (var file in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Emulators", "serverless")))
        {
            File.Copy(file, Path.Combine(directory, Path.GetFileName(file)));
        }
        // Plugins are looked for beside the service.
        Directory.CreateSymbolicLink(Path.Combine(directory, "node_modules"), modules);
        var ports = EmulatorProcess.FreePorts(3);
        var address = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{ports[0]}"));
        var start = new ProcessStartInfo(
            EmulatorProcess.Find("node")!,
            [
                Path.Combine(directory, "node_modules", "serverless", "bin", "serverless.js"), "offline", "start", "--noSponsor", "--host", "127.0.0.1",
                "--lambdaPort", $"{ports[0]}", "--httpPort", $"{ports[1]}", "--websocketPort", $"{ports[2]}",
            ])
        { WorkingDirectory = directory };
        foreach (var (name, value) in new Dictionary<string, string>
        {
            ["UPSTREAM_URL"] = upstream.GetLeftPart(UriPartial.Authority),
            ["SLS_TELEMETRY_DISABLED"] = "1",
            ["SLS_TRACKING_DISABLED"] = "1",
            ["SLS_NOTIFICATIONS_MODE"] = "off",
            ["SLS_INTERACTIVE_SETUP_ENABLE"] = "0",
            ["AWS_ACCESS_KEY_ID"] = "emulated",
            ["AWS_SECRET_ACCESS_KEY"] = "emulated",
            ["HOME"] = directory,
            ["CI"] = "1",
        })
        {
            start.Environment[name] = value;
        }
        try
        {
            return new ServerlessOffline(await EmulatorProcess.StartAsync(start, address, cancellationToken), directory, address);
        }
        catch
        {
            Delete(directory);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        Delete(_directory);
    }

    private static void Delete(string directory)
    {
        // The link goes, not what it leads to.
        Directory.Delete(Path.Combine(directory, "node_modules"));
        Directory.Delete(directory, recursive: true);
    }
}
