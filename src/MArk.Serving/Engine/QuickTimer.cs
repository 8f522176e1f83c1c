namespace MArk.Serving.Engine;

/// <summary>
/// Calls back once after a time, on a thread that all such timers of the process share. That of another timer runs on the pool, which wakes two of its threads for it; these look for more to do
/// before they sleep, and by that take a few percent of a core from the batches where it fires a hundred times a second.
/// </summary>
internal sealed class QuickTimer
{
    private static readonly object s_gate = new();
    private static readonly List<QuickTimer> s_set = [];
    private static bool s_hasThread;
    private static long s_wakesAt = long.MaxValue;      // when the thread wakes by itself, on the machine's own clock

    private readonly Action _callback;
    private long _due;

    /// <summary>A timer that is not set yet. The first one starts the thread.</summary>
    /// <param name="callback">Must be quick, wait for nobody and not throw.</param>
    public QuickTimer(Action callback)
    {
        _callback = callback;
        lock (s_gate)
        {
            if (!s_hasThread)
            {
                new Thread(Loop) { IsBackground = true, Name = "MArk.Serving's timers" }.UnsafeStart();
                s_hasThread = true;
            }
        }
    }

    /// <summary>Sets the timer; one that is set already anew.</summary>
    public void Set(TimeSpan after)
    {
        // The machine's own clock: it is about threads, which no test's clock knows of.
        var due = TimeProvider.System.GetTimestamp() + (long)(after.TotalSeconds * TimeProvider.System.TimestampFrequency);
        lock (s_gate)
        {
            s_set.Remove(this);
            s_set.Add(this);
            _due = due;
            if (due < s_wakesAt)
            {
                Monitor.Pulse(s_gate);
            }
        }
    }

    private static void Loop()
    {
        while (true)
        {
            WaitForDue()();
        }
    }

    private static Action WaitForDue()
    {
        lock (s_gate)
        {
            while (true)
            {
                var next = s_set.MinBy(timer => timer._due);
                s_wakesAt = next?._due ?? long.MaxValue;
                if (next is null)
                {
                    Monitor.Wait(s_gate);
                    continue;
                }
                var left = TimeProvider.System.GetElapsedTime(TimeProvider.System.GetTimestamp(), next._due);
                if (left <= TimeSpan.Zero)
                {
                    s_set.Remove(next);
                    return next._callback;
                }
                // Rather late than once more for the rest of a millisecond.
                Monitor.Wait(s_gate, TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds)));
            }
        }
    }
}
