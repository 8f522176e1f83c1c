namespace MArk.Serving.Engine;

/// <summary>
/// What a timer wants done again and again, in a queue of events: once at a time, so that a loop that is slower than the timer skips what it cannot keep up with. What waited behind it
/// would come later and later, and where that teaches how long a launch takes, be planned for.
/// </summary>
/// <param name="post">Queues an event.</param>
/// <param name="what">What is done.</param>
internal sealed class RecurringEvent(Action<Action<DateTimeOffset>> post, Action<DateTimeOffset> what)
{
    private int _isQueued;

    /// <summary>Queues it, unless it is in the queue already.</summary>
    /// <returns>Whether it was not.</returns>
    public bool TryPost()
    {
        if (Interlocked.Exchange(ref _isQueued, 1) == 1)
        {
            return false;
        }
        post(Run);
        return true;
    }

    private void Run(DateTimeOffset now)
    {
        // Before, so that what it does not see any more is followed by another.
        Volatile.Write(ref _isQueued, 0);
        what(now);
    }
}
