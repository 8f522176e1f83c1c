namespace MArk.Serving;

/// <summary>Begins what lives on, without the context of whoever begins it: that one's trace, log scopes and <see cref="AsyncLocal{T}"/> values are none of its own.</summary>
internal static class OwnContext
{
    /// <summary>A timer that is not set yet, and fires in no caller's context.</summary>
    public static ITimer CreateTimer(TimeProvider time, Action callback) =>
        Begin(() => time.CreateTimer(static state => ((Action)state!)(), callback, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan));

    /// <summary>Runs what lasts on the pool, in no caller's context.</summary>
    public static Task Run(Func<Task> lasting) => Begin(() => Task.Run(lasting, CancellationToken.None));

    private static T Begin<T>(Func<T> begin)
    {
        if (ExecutionContext.IsFlowSuppressed())
        {
            return begin();
        }
        using (ExecutionContext.SuppressFlow())
        {
            return begin();
        }
    }
}
