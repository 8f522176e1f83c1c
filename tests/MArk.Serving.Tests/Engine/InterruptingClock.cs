namespace MArk.Serving.Tests.Engine;

/// <summary>A clock that stops a thread which looks at it, in the middle of whatever it does.</summary>
internal sealed class InterruptingClock : TimeProvider
{
    [ThreadStatic]
    private static Action? t_interrupt;

    /// <summary>Runs something when this thread next looks at the clock.</summary>
    public static void InterruptThisThread(Action with) => t_interrupt = with;

    public override long GetTimestamp()
    {
        var interrupt = t_interrupt;
        t_interrupt = null;
        interrupt?.Invoke();
        return base.GetTimestamp();
    }
}
