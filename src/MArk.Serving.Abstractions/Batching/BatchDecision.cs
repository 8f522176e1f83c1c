namespace MArk.Serving;

/// <summary>What a <see cref="IBatchPolicy"/> answers.</summary>
public enum BatchDecisionKind
{
    /// <summary>Nothing to do until a request arrives or leaves, or an instance changes.</summary>
    WaitForEvent = 0,

    /// <summary>Send the first <see cref="BatchDecision.Count"/> candidates now.</summary>
    Dispatch,

    /// <summary>Ask again at <see cref="BatchDecision.Until"/>, or at the next event before it.</summary>
    WaitUntil,
}

/// <summary>What an idle instance does: dispatch a number of requests, or wait.</summary>
public readonly record struct BatchDecision
{
    private BatchDecision(BatchDecisionKind kind, int count, TimeSpan until) => (Kind, Count, Until) = (kind, count, until);

    /// <summary>Which of the three.</summary>
    public BatchDecisionKind Kind { get; }

    /// <summary>How many candidates to send, from the head of the queue; 0 unless dispatching.</summary>
    public int Count { get; }

    /// <summary>When to ask again, in scheduling time; zero unless waiting for an instant.</summary>
    public TimeSpan Until { get; }

    /// <summary>Nothing to do until the next event.</summary>
    public static BatchDecision WaitForEvent => default;

    /// <summary>Send the first candidates now.</summary>
    /// <param name="count">How many: at least 1, at most the smaller of the candidates and the batch limit.</param>
    /// <returns>The decision.</returns>
    public static BatchDecision Dispatch(int count) => new(BatchDecisionKind.Dispatch, count, default);

    /// <summary>Hold, and ask again at an instant.</summary>
    /// <param name="instant">When; later than <see cref="BatchContext.Now"/>.</param>
    /// <returns>The decision.</returns>
    public static BatchDecision WaitUntil(TimeSpan instant) => new(BatchDecisionKind.WaitUntil, 0, instant);
}
