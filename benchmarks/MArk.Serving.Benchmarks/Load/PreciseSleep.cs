using System.Diagnostics;
using System.Runtime.InteropServices;

namespace MArk.Serving.Benchmarks.Load;

/// <summary>
/// Waits for an instant without holding a core: the load generator shares the machine with what it measures. On Linux the kernel wakes the
/// thread to within some ten microseconds; elsewhere the last two milliseconds are spun.
/// </summary>
internal static class PreciseSleep
{
    private const int ClockMonotonic = 1;       // what Stopwatch reads on Linux, in nanoseconds
    private const int Absolute = 1;
    private const int SetTimerSlack = 29;
    private const long NanosecondsPerSecond = 1_000_000_000;
    private const long SpinNanoseconds = 5_000;

    private static readonly bool UseKernel = OperatingSystem.IsLinux() && Stopwatch.Frequency == NanosecondsPerSecond && Environment.Is64BitProcess;

    /// <summary>Lets the kernel wake the calling thread as exactly as it can.</summary>
    public static void PrepareThread()
    {
        if (UseKernel)
        {
            _ = prctl(SetTimerSlack, 1, 0, 0, 0);
        }
    }

    public static void Until(long timestamp)
    {
        var left = timestamp - Stopwatch.GetTimestamp();
        if (UseKernel)
        {
            if (left > SpinNanoseconds)
            {
                var at = new Timespec { Seconds = timestamp / NanosecondsPerSecond, Nanoseconds = timestamp % NanosecondsPerSecond };
                _ = clock_nanosleep(ClockMonotonic, Absolute, in at, 0);
            }
        }
        else
        {
            while (left > Stopwatch.Frequency / 500)
            {
                Thread.Sleep(1);
                left = timestamp - Stopwatch.GetTimestamp();
            }
        }
        while (Stopwatch.GetTimestamp() < timestamp)
        {
            Thread.SpinWait(4);
        }
    }

    [DllImport("libc")]
    private static extern int clock_nanosleep(int clock, int flags, in Timespec request, nint remain);

    [DllImport("libc")]
    private static extern int prctl(int option, nint first, nint second, nint third, nint fourth);

    private struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
