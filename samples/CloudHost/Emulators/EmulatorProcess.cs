using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace CloudHost.Emulators;

/// <summary>A program that stands in for a service of the cloud, on a port of this machine's own. It ends with this.</summary>
internal sealed class EmulatorProcess : IAsyncDisposable
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);

    private readonly Process _process;
    private readonly Lock _gate = new();
    private readonly Queue<string> _lines = new();

    private EmulatorProcess(Process process) => _process = process;

    public int Id => _process.Id;

    /// <summary>Where a program is that the machine's path finds; nothing if there is none.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    /// <summary>A port that nobody listens on now.</summary>
    public static int FreePort() => FreePorts(1)[0];

    /// <summary>Ports that nobody listens on now.</summary>
    public static int[] FreePorts(int count)
    {
        // All are held until all are known, so that they differ.
        TcpListener[] listeners = [.. Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0))];
        Array.ForEach(listeners, l => l.Start());
        int[] ports = [.. listeners.Select(l => ((IPEndPoint)l.LocalEndpoint).Port)];
        Array.ForEach(listeners, l => l.Stop());
        return ports;
    }

    /// <summary>Starts a program and waits until it answers.</summary>
    /// <param name="start">The program.</param>
    /// <param name="ready">What is asked until there is an answer, whatever it is.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="EmulatorException">It ended, or does not answer in time.</exception>
    public static async Task<EmulatorProcess> StartAsync(ProcessStartInfo start, Uri ready, CancellationToken cancellationToken)
    {
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        start.RedirectStandardInput = true;
        var emulator = new EmulatorProcess(Process.Start(start)!);
        emulator._process.OutputDataReceived += (_, line) => emulator.Keep(line.Data);
        emulator._process.ErrorDataReceived += (_, line) => emulator.Keep(line.Data);
        emulator._process.BeginOutputReadLine();
        emulator._process.BeginErrorReadLine();
        try
        {
            await emulator.UntilReadyAsync(start.FileName, ready, cancellationToken);
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
        Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    public void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }
    }

    private async Task UntilReadyAsync(string name, Uri ready, CancellationToken cancellationToken)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                using var response = await http.GetAsync(ready, cancellationToken);
                return;
            }
            catch (HttpRequestException e)
            {
                if (_process.HasExited || clock.Elapsed > StartTimeout)
                {
                    throw new EmulatorException($"'{name}' {(_process.HasExited ? "ended" : "does not answer")} ({e.Message}). It wrote last: {Last}", e);
                }
            }
            await Task.Delay(Poll, cancellationToken);
        }
    }

    private string Last
    {
        get
        {
            lock (_gate)
            {
                return string.Join(Environment.NewLine, _lines);
            }
        }
    }

    private void Keep(string? line)
    {
        lock (_gate)
        {
            if (line is not null)
            {
                _lines.Enqueue(line);
            }
            if (_lines.Count > 20)
            {
                _lines.Dequeue();
            }
        }
    }
}

/// <summary>An emulator cannot be had.</summary>
internal sealed class EmulatorException(string message, Exception? innerException = null) : Exception(message, innerException);
