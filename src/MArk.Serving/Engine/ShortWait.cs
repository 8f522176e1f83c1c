namespace MArk.Serving.Engine;

/// <summary>A wait for another thread that is about to be done, in which this one does not sleep, since to be woken would take longer.</summary>
internal readonly struct ShortWait()
{
    /// <summary>The longest that it goes on.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMicroseconds(100);

    // The machine's own clock: it is about threads, which no test's clock knows of.
    private readonly long _start = TimeProvider.System.GetTimestamp();

    /// <summary>Whether another thread can run meanwhile.</summary>
    public static bool Pays => Environment.ProcessorCount > 1;

    /// <summary>Lets a little time pass.</summary>
    /// <returns>Whether to wait on.</returns>
    public bool Spin()
    {
        Thread.SpinWait(10);
        // The thread that is waited for may have no other core.
        Thread.Yield();
        return TimeProvider.System.GetElapsedTime(_start) < Longest;
    }
}
