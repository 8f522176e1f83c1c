using System.Globalization;
using System.Runtime.InteropServices;

namespace MArk.Serving.Benchmarks.Raw;

/// <summary>
/// The cores that a model's instances compute on: as many as there are instances, the same for the bare loop and every server, since the cores of a machine that is shared
/// may differ by a fifth in speed, and which is the faster changes. They are the last, as interrupts mostly go to the first. All other threads, the load generator among them, run on the others. Where a
/// thread cannot be held on a core, or no core is left for the others, nothing is done.
/// </summary>
internal static class InstanceCores
{
    private const int Words = 16;       // as many processors as the C library's own set has, 64 to a word
    private const int Caller = 0;
    private const int NoSuchThread = 3;
    private const string Threads = "/proc/self/task";

    /// <summary>The cores that the process may use; none where threads cannot be held on them.</summary>
    public static int[] All { get; } = ReadAllowed();

    /// <summary>Holds the calling thread on the cores of so many instances. What it starts is held like it, at first.</summary>
    public static void Hold(int instances)
    {
        if (instances < All.Length)
        {
            Set(Caller, All.AsSpan(^instances));
        }
    }

    /// <summary>Holds the calling thread on one core. What it starts is held like it.</summary>
    public static void HoldOn(int core) => Set(Caller, [core]);

    /// <summary>Holds the threads whose names begin so on the cores of so many instances, and all others on the other cores: a thread is held like the one that has started it, at first.</summary>
    /// <param name="instances">How many instances.</param>
    /// <param name="held">The threads that are held already, and are passed over: what is added and taken away here. A thread is held twice, since it may not have its name yet when it is first seen.</param>
    /// <param name="names">What the names begin with.</param>
    public static void Divide(int instances, Dictionary<string, int> held, params ReadOnlySpan<string> names)
    {
        if (instances >= All.Length)
        {
            return;
        }
        var paths = Directory.GetDirectories(Threads);
        foreach (var path in paths)
        {
            var times = held.GetValueOrDefault(path);
            if (times < 2 && TryReadName(path, out var name))
            {
                Set(ThreadOf(path), BeginsWithAny(name, names) ? All.AsSpan(^instances) : All.AsSpan(..^instances));
                held[path] = times + 1;
            }
        }
        foreach (var ended in held.Count > paths.Length ? held.Keys.Except(paths).ToArray() : [])
        {
            // Its number may be another thread's one day.
            held.Remove(ended);
        }
    }

    /// <summary>Lets all threads run where they can.</summary>
    public static void Free()
    {
        foreach (var path in All.Length > 0 ? Directory.EnumerateDirectories(Threads) : [])
        {
            Set(ThreadOf(path), All);
        }
    }

    private static int ThreadOf(string path) => int.Parse(Path.GetFileName(path.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture);

    private static bool TryReadName(string path, out string name)
    {
        try
        {
            name = File.ReadAllText(Path.Combine(path, "comm"));
            return true;
        }
        catch (IOException)
        {
            // It has ended since it was listed.
            name = "";
            return false;
        }
    }

    private static bool BeginsWithAny(string name, ReadOnlySpan<string> beginnings)
    {
        foreach (var beginning in beginnings)
        {
            if (name.StartsWith(beginning, StringComparison.Ordinal))
            {
                return true;
            }
        }
        return false;
    }

    private static int[] ReadAllowed()
    {
        var set = new ulong[Words];
        // Where it is forbidden to hold a thread, even on all of them, none is.
        return OperatingSystem.IsLinux() && sched_getaffinity(Caller, Words * sizeof(ulong), set) == 0 && sched_setaffinity(Caller, Words * sizeof(ulong), set) == 0
            ? [.. Enumerable.Range(0, Words * 64).Where(core => (set[core / 64] >> (core % 64) & 1) != 0)]
            : [];
    }

    private static void Set(int thread, ReadOnlySpan<int> cores)
    {
        var set = new ulong[Words];
        foreach (var core in cores)
        {
            set[core / 64] |= 1UL << core % 64;
        }
        if (sched_setaffinity(thread, Words * sizeof(ulong), set) != 0 && Marshal.GetLastPInvokeError() is var error && (error != NoSuchThread || thread == Caller))
        {
            throw new InvalidOperationException($"A thread cannot be held on {cores.Length} core(s) from {cores[0]} on: error {error} of sched_setaffinity.");
        }
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int sched_getaffinity(int thread, nint size, [Out] ulong[] set);

    [DllImport("libc", SetLastError = true)]
    private static extern int sched_setaffinity(int thread, nint size, ulong[] set);
}
