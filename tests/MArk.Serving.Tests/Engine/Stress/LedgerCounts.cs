using MArk.Serving.Diagnostics;

namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>How many calls ended how; to be compared with a report once all have ended.</summary>
internal sealed class LedgerCounts
{
    private readonly Lock _gate = new();
    private long _ended, _succeeded, _failed, _rejected, _cancelled, _invalid;
    private long _draining;         // refused since the model stops: counted by the engine only until the stop is over
    private long _notOffered;       // cancelled before the engine was asked
    private long _maybeNotOffered;  // cancelled while it was asked
    private long _inTime, _maybeInTime, _spilled;
    private readonly Dictionary<RejectionReason, long> _reasons = [];

    public void Add(StressCall call, in StressOutcome outcome)
    {
        lock (_gate)
        {
            _ended++;
            switch (outcome.Status)
            {
                case InferenceStatus.Succeeded:
                    _succeeded++;
                    _inTime += outcome.InTime == true ? 1 : 0;
                    _maybeInTime += outcome.InTime is null ? 1 : 0;
                    _spilled += outcome.Spilled == true ? 1 : 0;
                    break;
                case InferenceStatus.Failed:
                    _failed++;
                    break;
                case InferenceStatus.Rejected:
                    var reason = ((InferenceRejectedException)outcome.Error!).Reason;
                    _rejected++;
                    _draining += reason == RejectionReason.Draining ? 1 : 0;
                    _reasons[reason] = _reasons.GetValueOrDefault(reason) + 1;
                    break;
                case InferenceStatus.Cancelled:
                    _cancelled++;
                    _notOffered += call.Plan == CancelPlan.BeforeItAsks || call.IsInvalid ? 1 : 0;
                    _maybeNotOffered += call.Plan == CancelPlan.WhileItAsks && !call.IsInvalid ? 1 : 0;
                    break;
                default:
                    _invalid++;
                    break;
            }
        }
    }

    public long Ended => Read(c => c._ended);

    public long Succeeded => Read(c => c._succeeded);

    public long Failed => Read(c => c._failed);

    public long Rejected => Read(c => c._rejected);

    public long Cancelled => Read(c => c._cancelled);

    /// <summary>What of a report does not fit what the callers saw, and the number of requests the spillover target has answered.</summary>
    public IReadOnlyList<string> Compare(ModelReport report, int spilled)
    {
        var misfits = new List<string>();
        lock (_gate)
        {
            var told = report.Succeeded + report.Failed + report.Rejected + report.Cancelled;
            if (report.Offered != told)
            {
                misfits.Add($"{report.Offered} were offered, and {told} have ended");
            }
            var most = _ended - _invalid - _notOffered;
            var least = most - _draining - _maybeNotOffered;
            if (report.Offered < least || report.Offered > most)
            {
                misfits.Add($"{report.Offered} were offered; the callers offered {least} to {most}");
            }
            if (report.Succeeded != _succeeded)
            {
                misfits.Add($"{report.Succeeded} succeeded; the callers saw {_succeeded}");
            }
            if (report.InTime < _inTime || report.InTime > _inTime + _maybeInTime)
            {
                misfits.Add($"{report.InTime} were in time; the callers saw {_inTime} to {_inTime + _maybeInTime}");
            }
            // A call that is cancelled while it is refused or fails ends as cancelled, and is counted as what it would have been.
            if (report.Cancelled > _cancelled - _notOffered || report.Failed < _failed || report.Rejected < _rejected - _draining)
            {
                misfits.Add($"{report.Failed} failed, {report.Rejected} were rejected and {report.Cancelled} cancelled; the callers saw {_failed}, {_rejected} and {_cancelled}");
            }
            if (report.Spilled < _spilled || report.Spilled > spilled)
            {
                misfits.Add($"{report.Spilled} were spilled; the callers saw {_spilled}, the target answered {spilled}");
            }
            if (report.Waiting != 0)
            {
                misfits.Add($"{report.Waiting} wait");
            }
        }
        return misfits;
    }

    public override string ToString() => Read(c => FormattableString.Invariant(
        $"{c._ended} ended: {c._succeeded} succeeded ({c._spilled}+ spilled, {c._inTime}+ in time), {c._failed} failed, {c._cancelled} cancelled, {c._invalid} invalid, {c._rejected} rejected ({string.Join(", ", c._reasons.Select(r => $"{r.Value} {r.Key}"))})"));

    private T Read<T>(Func<LedgerCounts, T> read)
    {
        lock (_gate)
        {
            return read(this);
        }
    }
}
