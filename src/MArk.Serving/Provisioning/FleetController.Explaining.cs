namespace MArk.Serving.Provisioning;

// Why the fleet is as it is, for people.
internal sealed partial class FleetController
{
    private readonly List<PlanBound> _refused = [];     // what reconciling did not do of the plan
    private readonly List<PlanAction> _done = [];       // and what it did
    private int[] _saidWanted = [];
    private PlanBoundKind[] _saidBounds = [];
    private PlanAction[] _saidDone = [];

    /// <summary>Why the last plan was as it was, and what was done of it.</summary>
    public PlanExplanation Explanation { get; private set; } = PlanExplanation.None;

    /// <summary>The plan's explanation, with what the controller did and did not do of it, or keeps beyond it.</summary>
    private void Explain(DateTimeOffset now)
    {
        var bounds = _planned.Bounds.AddRange(_refused);
        for (var i = 0; i < _offerings.Count; i++)
        {
            var name = _offerings[i].Name;
            if (IsHeldBack(now, i))
            {
                bounds = bounds.Add(new PlanBound(PlanBoundKind.LaunchHold, _holds.Describe(now, i, name)));
            }
            if (Math.Min(_held[i], ActiveOf(i)) - _wantedBefore.Max(w => w.Wanted[i]) is > 0 and var beyond)
            {
                bounds = bounds.Add(new PlanBound(PlanBoundKind.SloBreach, FormattableString.Invariant($"the objective, which was broken: {beyond} x {name} beyond the plan, until it has been kept for a while")));
            }
        }
        if (DescribeSchedule() is { } scheduled)
        {
            bounds = bounds.Add(new PlanBound(PlanBoundKind.Schedule, scheduled));
        }
        Explanation = _planned with { Bounds = bounds, Actions = [.. _done], IsDryRun = _settings.IsDryRun };
        SayIfChanged();
    }

    /// <summary>What is wanted anew, what is done, and what begins or ceases to bind is news; that the same plan was made again is not.</summary>
    private void SayIfChanged()
    {
        var wanted = _wantedBefore.Last().Wanted;
        PlanBoundKind[] bounds = [.. Explanation.Bounds.Select(b => b.Kind).Distinct().Order()];
        // A dry run would do the same again and again.
        var isDone = _settings.IsDryRun ? !_done.SequenceEqual(_saidDone) : _done.Count > 0;
        if (isDone || !wanted.AsSpan().SequenceEqual(_saidWanted) || !bounds.AsSpan().SequenceEqual(_saidBounds))
        {
            (_saidWanted, _saidBounds, _saidDone) = (wanted, bounds, [.. _done]);
            _commands.Enqueue(new FleetCommand(FleetCommandKind.Explain) { Explanation = Explanation });
        }
    }

    private void CountBounds()
    {
        foreach (var kind in Explanation.Bounds.Select(b => b.Kind).Distinct())
        {
            _tally.Bounds[(int)kind]++;
        }
    }

    private void Note(PlanActionKind kind, int offering)
    {
        var name = _offerings[offering].Name;
        var i = _done.FindIndex(a => a.Kind == kind && a.Offering == name);
        if (i < 0)
        {
            _done.Add(new PlanAction(kind, name, 1));
        }
        else
        {
            _done[i] = _done[i] with { Count = _done[i].Count + 1 };
        }
    }

    private void Refuse(PlanBoundKind kind, string text)
    {
        var bound = new PlanBound(kind, text);
        if (!_refused.Contains(bound))
        {
            _refused.Add(bound);
        }
    }
}
