using System.Collections.Concurrent;

namespace MArk.Serving.Tests.Engine.Stress;

/// <summary>How a call ended, as its caller saw it; what the throwing method does not tell is not known.</summary>
internal readonly record struct StressOutcome(InferenceStatus Status, Reply? Reply, Exception? Error, bool? Spilled, bool? InTime);

/// <summary>Keeps the book of every call: each ends exactly once, in a way that is legal for it. What is not goes into <see cref="Violations"/>.</summary>
internal sealed class RequestLedger
{
    private readonly ConcurrentQueue<StressCall> _calls = new();
    private long _tick;
    private long _stopBegan;
    private int _losses;
    private int _pastLosses;
    private int _instanceFailures;
    private int _probes;
    private int _reloads;
    private int _failedReloads;

    public ConcurrentQueue<string> Violations { get; } = new();

    public LedgerCounts Counts { get; } = new();

    /// <summary>How many instances may die under a request.</summary>
    public int MaxRedeliveries { get; init; } = 2;

    /// <summary>Whether the stop gives up what it cannot finish: then a call may end in any way but with a wrong answer.</summary>
    public bool StopIsHard { get; init; }

    public IEnumerable<StressCall> Waiting => _calls.Where(c => c.EndedAt == 0);

    public int Spilled => _calls.Count(c => c.WasSpilled);

    /// <summary>Machines that were lost with a runner on them.</summary>
    public int Losses => Volatile.Read(ref _losses);

    /// <summary>Those of them that the engine has surely given up.</summary>
    public int PastLosses => Volatile.Read(ref _pastLosses);

    public bool HasStopped => Volatile.Read(ref _stopBegan) > 0;

    public bool MayGiveUp => StopIsHard && HasStopped;

    /// <summary>Orders what happens: of two events, one of which surely came before the other, the first has the lower tick.</summary>
    public long Tick() => Interlocked.Increment(ref _tick);

    public void Violate(string what)
    {
        if (Violations.Count < 1000)
        {
            Violations.Enqueue(what);
        }
    }

    /// <summary>Runs that failed by their instance.</summary>
    public int InstanceFailures => Volatile.Read(ref _instanceFailures);

    /// <summary>Runs of the sample on an instance that had failed.</summary>
    public int Probes => Volatile.Read(ref _probes);

    /// <summary>Reloads that took place.</summary>
    public int Reloads => Volatile.Read(ref _reloads);

    /// <summary>Reloads that were to fail, and did.</summary>
    public int FailedReloads => Volatile.Read(ref _failedReloads);

    public void OnInstanceFailure() => Interlocked.Increment(ref _instanceFailures);

    public void OnProbe() => Interlocked.Increment(ref _probes);

    public void OnReload(bool failed) => Interlocked.Increment(ref failed ? ref _failedReloads : ref _reloads);

    /// <summary>Before the stop is called.</summary>
    public void OnStop() => Interlocked.CompareExchange(ref _stopBegan, Tick(), 0);

    /// <summary>Before the engine is told that a machine is gone.</summary>
    public void OnLoss() => Interlocked.Increment(ref _losses);

    public void OnLossIsOver() => Interlocked.Increment(ref _pastLosses);

    public void Begin(StressCall call) => _calls.Enqueue(call);

    public void End(StressCall call, in StressOutcome outcome)
    {
        if (call.End() is var endings && endings > 1)
        {
            Violate($"{call} ended {endings} times, now as {outcome.Status}");
            return;
        }
        call.Ending = outcome.Error is null ? outcome.Status.ToString() : $"{outcome.Status} by {outcome.Error.GetType().Name}: {outcome.Error.Message}";
        call.IsRefusedForNow = outcome.Error is InferenceRejectedException { Reason: not RejectionReason.Draining };
        if (Judge(call, outcome) is { } complaint)
        {
            Violate($"{call}: {complaint}");
        }
        Counts.Add(call, outcome);
        call.Done.TrySetResult();
    }

    private string? Judge(StressCall call, in StressOutcome outcome) => outcome.Status switch
    {
        _ when call.Plan == CancelPlan.BeforeItAsks => outcome.Status == InferenceStatus.Cancelled ? null : "it was cancelled before it asked",
        InferenceStatus.Cancelled => call.CancelBegan > 0 ? null : "nobody had cancelled it",
        InferenceStatus.Invalid => call.IsInvalid ? null : "it was valid",
        _ when call.IsInvalid => "it was invalid",
        InferenceStatus.Succeeded => JudgeAnswer(call, outcome),
        InferenceStatus.Rejected => JudgeRejection(call, ((InferenceRejectedException)outcome.Error!).Reason),
        InferenceStatus.Failed => JudgeFailure(call, outcome.Error!),
        _ => "that is no way to end",
    };

    private static string? JudgeAnswer(StressCall call, in StressOutcome outcome) =>
        call.IsPoison ? "a poison has an answer"
        : outcome.Reply is null ? "its answer is nothing"
        : outcome.Reply.Value != call.Expected ? $"its answer is {outcome.Reply.Value:x}, which is not the one to its input, {call.Expected:x}"
        : outcome.Spilled == true && !call.WasSpilled ? "it is said to be spilled, and no target has answered it"
        : null;

    private string? JudgeRejection(StressCall call, RejectionReason reason) => reason switch
    {
        RejectionReason.QueueFull => null,
        RejectionReason.DeadlineUnreachable or RejectionReason.NoCapacity => MayBeRefused(call.Options) ? null : "it was to be served late",
        RejectionReason.Draining when !HasStopped => "nobody had stopped the model",
        RejectionReason.Draining => MayGiveUp || !WasAccepted(call) ? null : "it had been accepted before the stop, which had time to finish it",
        _ => "that is no reason",
    };

    // Where there is no mode the default is chosen by whether there is a spillover target; both choices refuse only a deadline the caller gave.
    private static bool MayBeRefused(in InferenceOptions options) =>
        options.WhenUnreachable == WhenUnreachable.Reject || (options.WhenUnreachable != WhenUnreachable.ServeLate && options.Timeout is not null);

    private bool WasAccepted(StressCall call) => call.IsCancellable && call.BeganAt > 0 && call.BeganAt < Volatile.Read(ref _stopBegan);

    private string? JudgeFailure(StressCall call, Exception error)
    {
        if (MayGiveUp || call.IsExcusedBy(error.InnerException) || (error is ContractViolationException && call.WasForgotten))
        {
            return null;
        }
        var losses = Losses - call.PastLosses + call.InstanceFailures;
        return error is InferenceFailedException { InnerException: null or InstanceFailedException } && losses > MaxRedeliveries
            ? null
            : $"no run said that it fails so, and {losses} machines were lost or failed meanwhile; it may outlive {MaxRedeliveries}";
    }
}
