namespace MArk.Serving;

/// <summary>Why a batch left.</summary>
public enum BatchReason
{
    /// <summary>It holds as many as the instance takes at once, by number or by weight, or as many as the policy wants of those that wait.</summary>
    Full = 0,

    /// <summary>One more request, and it would miss the earliest deadline of those that wait.</summary>
    Deadline,

    /// <summary>The policy had held it, and the hold ended.</summary>
    HoldEnded,

    /// <summary>An instance was idle, and the policy saw nothing in waiting for more.</summary>
    IdleInstance,

    /// <summary>The model is stopping.</summary>
    Drain,

    /// <summary>Nobody in time could use the instance, so it serves requests that are late.</summary>
    Late,

    /// <summary>A part of a batch that failed as a whole.</summary>
    Retry,
}
