namespace MArk.Serving.Provisioning;

// How the fleet gets to what is wanted.
internal sealed partial class FleetController
{
    private void Reconcile(DateTimeOffset now)
    {
        if (_stopping || _wantedBefore.Count == 0 || !IsInCharge(now))
        {
            return;
        }
        var wanted = _wantedBefore.Last().Wanted;
        _refused.Clear();
        _done.Clear();
        Array.Clear(_dryLaunches);
        if (!IsHeld(now))
        {
            Array.Clear(_held);
            _prewarmed = 0;
        }
        foreach (var i in _candidates)
        {
            // One is let go only if fewer were wanted all through the cool-down.
            var planned = Math.Max(wanted[i], _wantedBefore.Max(w => w.Wanted[i]));
            var kept = Math.Max(planned, _held[i]);
            for (var surplus = ActiveOf(i) - kept; surplus > 0 && Last(now, i) is { } machine; surplus--)
            {
                LetGo(machine);
                Note(PlanActionKind.LetGo, i);
            }
            var active = ActiveOf(i);
            if (Math.Min(active, planned) - wanted[i] is > 0 and var more)
            {
                Refuse(PlanBoundKind.Cooldown, FormattableString.Invariant($"ScaleInCooldown {_settings.ScaleInCooldown}: {more} x {_offerings[i].Name} kept"));
            }
        }
        foreach (var i in _candidates)
        {
            while (IsShort(i, wanted[i]) && (TryKeep(i) || TryLaunch(now, i)))
            {
                // One more is on its way.
            }
        }
        ReconcileStandbys(now);
        Explain(now);
        SayWhenToWake(now);
    }

    private bool IsShort(int offering, int wanted) =>
        ActiveOf(offering) < Math.Min(wanted, _offerings[offering].MaxInstances)
        && _machines.Count(m => m.IsActive) + _candidates.Sum(i => _dryLaunches[i]) < MaxPlanned;

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
