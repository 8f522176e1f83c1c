using System.Runtime.InteropServices;

namespace MArk.Serving.Benchmarks.Load;

/// <summary>What Linux offers beyond .NET: to sleep until an instant, and the processor time of a thread. Times are in nanoseconds.</summary>
internal static class LinuxClock
{
    private const int Monotonic = 1;        // what Stopwatch reads on Linux, in nanoseconds
    private const int OfThread = 3;
    private const int Absolute = 1;
    private const int SetTimerSlack = 29;

    public const long NanosecondsPerSecond = 1_000_000_000;

    /// <summary>Lets the kernel wake the calling thread as exactly as it can.</summary>
    public static void DropTimerSlack() => _ = prctl(SetTimerSlack, 1, 0, 0, 0);

    public static void SleepUntil(long monotonic)
    {
        var at = new Timespec { Seconds = monotonic / NanosecondsPerSecond, Nanoseconds = monotonic % NanosecondsPerSecond };
        _ = clock_nanosleep(Monotonic, Absolute, in at, 0);
    }

    /// <summary>The processor time that the calling thread has had; answers false where there is no such clock.</summary>
    public static bool TryGetThreadTime(out long nanoseconds)
    {
        Timespec time = default;
        var isKnown = OperatingSystem.IsLinux() && Environment.Is64BitProcess && clock_gettime(OfThread, out time) == 0;
        nanoseconds = time.Seconds * NanosecondsPerSecond + time.Nanoseconds;
        return isKnown;
    }

    [DllImport("libc")]
    private static extern int clock_nanosleep(int clock, int flags, in Timespec request, nint remain);

    [DllImport("libc")]
    private static extern int clock_gettime(int clock, out Timespec time);

    [DllImport("libc")]
    private static extern int prctl(int option, nint first, nint second, nint third, nint fourth);

    private struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
