namespace MArk.Serving.Aws.Lambda;

/// <summary>
/// How many environments of a function are warm and have nothing to do: each call that has ended left one, and of those the next call gets the one that was used last, until it has been idle too
/// long. Lambda does not tell; it may have ended them sooner. Not thread-safe.
/// </summary>
internal sealed class WarmEnvironments(TimeSpan idleLifetime, TimeProvider time)
{
    private readonly List<long> _idleSince = [];        // ascending

    public int Idle
    {
        get
        {
            var now = time.GetTimestamp();
            var gone = _idleSince.FindIndex(since => time.GetElapsedTime(since, now) <= idleLifetime);
            _idleSince.RemoveRange(0, gone < 0 ? _idleSince.Count : gone);
            return _idleSince.Count;
        }
    }

    /// <summary>Takes one for a call.</summary>
    /// <returns>Whether there was one; otherwise one has to start.</returns>
    public bool TryTake()
    {
        if (Idle == 0)
        {
            return false;
        }
        _idleSince.RemoveAt(_idleSince.Count - 1);
        return true;
    }

    /// <summary>A call has left one behind.</summary>
    public void Return() => _idleSince.Add(time.GetTimestamp());
}
