using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace MArk.Serving.Aws.Tests.Emulators;

/// <summary>
/// The functions of <c>Emulators/serverless</c>, run by serverless-offline on ports of their own on the loopback: Lambda's Invoke API, without an account or a network. The packages
/// <c>serverless@3</c> and <c>serverless-offline@13</c> are looked for in <c>node_modules</c> of the directory that <c>MARK_SERVERLESS_DIR</c> names, or of <c>artifacts/emulators</c>.
/// </summary>
internal sealed class ServerlessOffline : IAsyncDisposable
{
    private const string Variable = "MARK_SERVERLESS_DIR";

    private static readonly string[] Files = ["node_modules/serverless/bin/serverless.js", "node_modules/serverless-offline/package.json"];
    private static readonly TimeSpan StartTimeout = TimeSpan.FromMinutes(2);

    private readonly Process _process;
    private readonly string _directory;
    private readonly List<string> _output = [];
    private bool _isStarted;

    private ServerlessOffline(Process process, string directory, int port)
    {
        (_process, _directory) = (process, directory);
        Address = new Uri($"http://127.0.0.1:{port}");
        process.OutputDataReceived += (_, line) => Hear(line.Data);
        process.ErrorDataReceived += (_, line) => Hear(line.Data);
    }

    /// <summary>Where the Invoke API is.</summary>
    public Uri Address { get; }

    /// <summary>What it has written so far.</summary>
    public string Output
    {
        get
        {
            lock (_output)
            {
                return string.Join('\n', _output);
            }
        }
    }

    public static bool IsInstalled => EmulatorFiles.Find(Variable, Files) is not null;

    /// <summary>Skips the test where the emulator is not installed, or fails it with <c>MARK_REQUIRE_EMULATORS=1</c>.</summary>
    /// <returns>Where it is installed.</returns>
    public static string Require() => EmulatorFiles.Require("serverless-offline", Variable, Files);

    /// <summary>Starts the functions, and returns when they can be invoked. Where the emulator is not installed: see <see cref="Require"/>.</summary>
    /// <param name="upstream">The server that functions hand their events on to.</param>
    public static async Task<ServerlessOffline> StartAsync(Uri upstream)
    {
        var modules = Require();
        var directory = Directory.CreateTempSubdirectory("mark-serverless-").FullName;
        foreach (var file in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Emulators", "serverless")))
        {
            File.Copy(file, Path.Combine(directory, Path.GetFileName(file)));
        }
        // Plugins are looked for beside the service.
        Directory.CreateSymbolicLink(Path.Combine(directory, "node_modules"), Path.Combine(modules, "node_modules"));
        var ports = FreePorts(3);
        var start = new ProcessStartInfo("node") { WorkingDirectory = directory, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (string[])
            [
                Path.Combine(directory, "node_modules", "serverless", "bin", "serverless.js"), "offline", "start", "--noSponsor", "--host", "127.0.0.1",
                "--lambdaPort", $"{ports[0]}", "--httpPort", $"{ports[1]}", "--websocketPort", $"{ports[2]}",
            ])
        {
            start.ArgumentList.Add(argument);
        }
        foreach (var (name, value) in new Dictionary<string, string>
            {
                ["UPSTREAM_URL"] = upstream.GetLeftPart(UriPartial.Authority),
                ["SLS_TELEMETRY_DISABLED"] = "1",
                ["SLS_TRACKING_DISABLED"] = "1",
                ["SLS_NOTIFICATIONS_MODE"] = "off",
                ["SLS_INTERACTIVE_SETUP_ENABLE"] = "0",
                ["AWS_ACCESS_KEY_ID"] = "AKIDEXAMPLE",
                ["AWS_SECRET_ACCESS_KEY"] = "nothing-secret",
                ["HOME"] = directory,
                ["CI"] = "1",
            })
        {
            start.Environment[name] = value;
        }
        var emulator = new ServerlessOffline(new Process { StartInfo = start }, directory, ports[0]);
        try
        {
            await emulator.StartAsync();
            return emulator;
        }
        catch
        {
            await emulator.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_isStarted)
        {
            if (!_process.HasExited)
            {
                _process.Kill(entireProcessTree: true);
            }
            await _process.WaitForExitAsync();
        }
        _process.Dispose();
        // The link goes, not what it leads to.
        Directory.Delete(Path.Combine(_directory, "node_modules"));
        Directory.Delete(_directory, recursive: true);
    }

    private async Task StartAsync()
    {
        _isStarted = _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        using var tooLong = new CancellationTokenSource(StartTimeout);
        while (!await AcceptsAsync(tooLong.Token))
        {
            if (_process.HasExited || tooLong.IsCancellationRequested)
            {
                throw new InvalidOperationException($"serverless-offline {(_process.HasExited ? $"ended with {_process.ExitCode}" : $"did not listen within {StartTimeout}")}:\n{Output}");
            }
            await Task.Delay(20);
        }
    }

    private async Task<bool> AcceptsAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync(IPAddress.Loopback, Address.Port, cancellationToken);
            return true;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return false;
        }
    }

    private void Hear(string? line)
    {
        if (line is not null)
        {
            lock (_output)
            {
                _output.Add(line);
            }
        }
    }

    private static int[] FreePorts(int count)
    {
        // All are held until all are known, so that they differ.
        TcpListener[] listeners = [.. Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0))];
        Array.ForEach(listeners, l => l.Start());
        int[] ports = [.. listeners.Select(l => ((IPEndPoint)l.LocalEndpoint).Port)];
        Array.ForEach(listeners, l => l.Stop());
        return ports;
    }
}
