using System.Collections.Concurrent;
using System.Diagnostics;

namespace MArk.Serving.OpenInference.Instances;

/// <summary>
/// Starts processes that end with this one. On Linux the kernel sees to it, also where this process is killed: it ends a child when the <em>thread</em> that started it ends, so all are started by
/// one thread that lasts as long as the process. Elsewhere they are ended where this process ends by itself.
/// </summary>
internal static class ProcessLauncher
{
    private static readonly BlockingCollection<Action> Starts = [];
    private static readonly ConcurrentDictionary<Process, byte> Running = new();
    private static readonly Lock Gate = new();
    private static Thread? _thread;

    /// <summary>Where the program is that asks the kernel for that; nowhere, if there is none.</summary>
    public static string? ParentDeathSignal { get; } = OperatingSystem.IsLinux()
        ? Array.Find(["/usr/bin/setpriv", "/bin/setpriv", "/usr/sbin/setpriv"], path => File.Exists(path) && CanSignal(path))
        : null;

    /// <summary>Where a program is: what is named with a folder, or what the machine's path finds; nowhere, if there is none.</summary>
    public static string? Find(string fileName)
    {
        if (fileName.Contains(Path.DirectorySeparatorChar, StringComparison.Ordinal) || fileName.Contains(Path.AltDirectorySeparatorChar, StringComparison.Ordinal))
        {
            return File.Exists(fileName) ? fileName : null;
        }
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        string[] names = OperatingSystem.IsWindows() ? [fileName, $"{fileName}.exe", $"{fileName}.cmd", $"{fileName}.bat"] : [fileName];
        return folders.SelectMany(folder => names.Select(name => Path.Combine(folder, name))).FirstOrDefault(File.Exists);
    }

    /// <summary>Starts a process.</summary>
    /// <exception cref="System.ComponentModel.Win32Exception">It cannot be started.</exception>
    public static Task<Process> StartAsync(ProcessStartInfo start)
    {
        EnsureThread();
        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        Starts.Add(() =>
        {
            try
            {
                started.SetResult(Start(start));
            }
            catch (Exception e)
            {
                started.SetException(e);
            }
        });
        return started.Task;
    }

    /// <summary>Some programs of that name cannot.</summary>
    private static bool CanSignal(string program)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, ["--pdeathsig", "KILL", "--", "true"]) { RedirectStandardError = true, RedirectStandardOutput = true });
            process!.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            // It is no program for this machine.
            return false;
        }
    }

    private static void EnsureThread()
    {
        lock (Gate)
        {
            if (_thread is not null)
            {
                return;
            }
            AppDomain.CurrentDomain.ProcessExit += static (_, _) => EndAll();
            _thread = new Thread(static () =>
            {
                foreach (var start in Starts.GetConsumingEnumerable())
                {
                    start();
                }
            })
            { IsBackground = true, Name = "MArk.Serving worker processes" };
            _thread.UnsafeStart();
        }
    }

    private static Process Start(ProcessStartInfo start)
    {
        if (ParentDeathSignal is { } program)
        {
            start.ArgumentList.Insert(0, start.FileName);
            start.ArgumentList.Insert(0, "--");
            start.ArgumentList.Insert(0, "KILL");
            start.ArgumentList.Insert(0, "--pdeathsig");
            start.FileName = program;
        }
        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        process.Start();
        Running.TryAdd(process, 0);
        process.Exited += static (sender, args) => Running.TryRemove((Process)sender!, out _);
        return process;
    }

    private static void EndAll()
    {
        foreach (var process in Running.Keys)
        {
            try
            {
                process.Kill(entireProcessTree: true);
            }
            catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception or NotSupportedException or AggregateException)
            {
                // It has ended meanwhile; and there is nobody left to tell.
                Debug.WriteLine(e);
            }
        }
    }
}
