namespace MArk.Serving.Provisioning;

// How the fleet gets to what is wanted.
internal sealed partial class FleetController
{
    private void Reconcile(DateTimeOffset now)
    {
        if (_wantedBefore.Count == 0 || !IsInCharge(now))
        {
            return;
        }
        var wanted = _wantedBefore.Last().Wanted;
        _refused.Clear();
        for (var i = 0; i < _offerings.Count; i++)
        {
            // One is let go only if fewer were wanted all through the cool-down.
            var kept = Math.Max(wanted[i], _wantedBefore.Max(w => w.Wanted[i]));
            while (_machines.Count(m => m.Offering == i && m.IsActive) > kept && Last(now, i) is { } surplus)
            {
                LetGo(surplus);
            }
            if (_machines.Count(m => m.Offering == i && m.IsActive) - wanted[i] is > 0 and var more)
            {
                Refuse(PlanBoundKind.Cooldown, FormattableString.Invariant($"ScaleInCooldown {_settings.ScaleInCooldown}: {more} x {_offerings[i].Name} kept"));
            }
        }
        for (var i = 0; i < _offerings.Count; i++)
        {
            while (IsShort(i, wanted[i]) && (TryKeep(i) || TryLaunch(now, i)))
            {
                // One more is on its way.
            }
        }
        for (var i = 0; i < _offerings.Count; i++)
        {
            if (_holds.IsHeld(now, i))
            {
                Refuse(PlanBoundKind.LaunchHold, _holds.Describe(i, _offerings[i].Name));
            }
        }
        Explanation = _plan.Explanation with { Bounds = [.. _plan.Explanation.Bounds, .. _refused] };
        SayWhenToWake(now);
    }

    private void Refuse(PlanBoundKind kind, string text) => _refused.Add(new PlanBound(kind, text));

    private bool IsShort(int offering, int wanted) =>
        _machines.Count(m => m.Offering == offering && m.IsActive) < Math.Min(wanted, _offerings[offering].MaxInstances)
        && _machines.Count(m => m.IsActive) < _settings.MaxInstances;

    /// <summary>One that was to be ended as soon as it could be is wanted again.</summary>
    private bool TryKeep(int offering)
    {
        var machine = _machines.Find(m => m.Offering == offering && m.IsUnwanted && !m.IsInterrupted && m.State is (FleetMachineState.Requested or FleetMachineState.Connecting));
        if (machine is null)
        {
            return false;
        }
        machine.IsUnwanted = false;
        return true;
    }

    /// <summary>Which goes first: one on its way; then the youngest that serves and has been had for the minimum that is billed; then the oldest.</summary>
    private FleetMachine? Last(DateTimeOffset now, int offering) =>
        _machines.FindLast(m => m.Offering == offering && m.IsComing)
        ?? _machines.FindLast(m => m.Offering == offering && m.IsActive && m.RequestedAt + _offerings[offering].MinimumBilling <= now)
        ?? _machines.Find(m => m.Offering == offering && m.IsActive);
}
