using System.Globalization;

namespace MArk.Serving.Provisioning;

/// <summary>
/// What is not to be launched for now. An offering whose launch failed is held back, so that the capacity is had elsewhere; one of which a machine was interrupted is avoided while
/// there is another; a provider that was called too often is left alone altogether, since another offering would be one more call.
/// </summary>
internal sealed class LaunchHolds(int offerings, RetryDelays delays)
{
    private readonly Hold[] _holds = new Hold[offerings];
    private DateTimeOffset _throttledUntil;
    private int _throttles;

    /// <summary>Whether an offering is held back, or misconfigured and thus held for good.</summary>
    public bool IsHeld(DateTimeOffset now, int offering) => _holds[offering].IsForGood || _holds[offering].Until > now;

    public bool IsForGood(int offering) => _holds[offering].IsForGood;

    /// <summary>Whether an offering is launched only where there is no other.</summary>
    public bool IsAvoided(DateTimeOffset now, int offering) => _holds[offering].AvoidedUntil > now;

    /// <summary>A provider takes machines of an offering away: it has none to spare for a while.</summary>
    public void OnInterrupted(int offering, DateTimeOffset until) => _holds[offering] = _holds[offering] with { AvoidedUntil = until };

    /// <summary>Whether nothing at all is to be launched.</summary>
    public bool IsThrottled(DateTimeOffset now) => _throttledUntil > now;

    public void OnFailed(DateTimeOffset now, int offering, LaunchFailure failure)
    {
        ref var hold = ref _holds[offering];
        if (failure == LaunchFailure.Misconfigured)
        {
            hold = hold with { IsForGood = true, Reason = failure };
        }
        else if (failure == LaunchFailure.Throttled)
        {
            _throttledUntil = IsThrottled(now) ? _throttledUntil : now + delays.After(_throttles++);
        }
        else if (!IsHeld(now, offering))
        {
            // Several that were under way together fail for one reason, and count once.
            hold = hold with { Until = now + delays.After(hold.Failures), Failures = hold.Failures + 1, Reason = failure };
        }
    }

    /// <summary>The provider took a launch call.</summary>
    public void OnAccepted() => _throttles = 0;

    /// <summary>A machine of an offering serves.</summary>
    public void OnServing(int offering) => _holds[offering] = _holds[offering] with { Failures = 0 };

    /// <summary>When the next hold ends.</summary>
    public DateTimeOffset NextEnd(DateTimeOffset now)
    {
        var next = IsThrottled(now) ? _throttledUntil : DateTimeOffset.MaxValue;
        foreach (var hold in _holds)
        {
            next = hold.Until > now && hold.Until < next ? hold.Until : next;
            next = hold.AvoidedUntil > now && hold.AvoidedUntil < next ? hold.AvoidedUntil : next;
        }
        return next;
    }

    /// <summary>Whether the hold of any offering has ended in an interval.</summary>
    public bool AnyEnded(DateTimeOffset after, DateTimeOffset until) => Array.Exists(_holds, h => (h.Until > after && h.Until <= until) || (h.AvoidedUntil > after && h.AvoidedUntil <= until));

    /// <summary>The hold of an offering, for people.</summary>
    public string Describe(DateTimeOffset now, int offering, string name)
    {
        var hold = _holds[offering];
        return hold.IsForGood ? $"{name} is misconfigured, and not launched any more"
            : hold.Until > now ? string.Create(CultureInfo.InvariantCulture, $"{name} is not launched before {hold.Until.UtcDateTime:u}, after {hold.Reason}")
            : string.Create(CultureInfo.InvariantCulture, $"{name} is not launched before {hold.AvoidedUntil.UtcDateTime:u} while there is another, after an interruption");
    }

    private readonly record struct Hold(DateTimeOffset Until, int Failures, LaunchFailure Reason, bool IsForGood, DateTimeOffset AvoidedUntil);
}
