using System.Diagnostics;

namespace MArk.Serving.Benchmarks.Load;

/// <summary>
/// Waits for an instant without holding a core: the load generator shares the machine with what it measures. On Linux the kernel wakes the
/// thread to within some ten microseconds; elsewhere the last two milliseconds are spun.
/// </summary>
internal static class PreciseSleep
{
    private const long SpinNanoseconds = 5_000;

    private static readonly bool UseKernel = OperatingSystem.IsLinux() && Stopwatch.Frequency == LinuxClock.NanosecondsPerSecond && Environment.Is64BitProcess;

    /// <summary>Lets the kernel wake the calling thread as exactly as it can.</summary>
    public static void PrepareThread()
    {
        if (UseKernel)
        {
            LinuxClock.DropTimerSlack();
        }
    }

    public static void Until(long timestamp)
    {
        var left = timestamp - Stopwatch.GetTimestamp();
        if (UseKernel)
        {
            if (left > SpinNanoseconds)
            {
                LinuxClock.SleepUntil(timestamp);
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
}
